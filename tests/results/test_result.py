"""Results come back as they were saved, whatever they hold; anything else is refused."""

import json
import pickle
import random
import re
import shutil
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.core.cache import size_bytes
from interp.core.errors import CheckpointError
from interp.results import values
from interp.results.provenance import Provenance
from interp.results.result import load_result
from tests.toy import Toy, make_toy, provenance_of_toy

NUMBERS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
TENSORS = st.lists(st.floats(width=32), max_size=4).map(torch.tensor)
HELD = st.recursive(
    NUMBERS | TENSORS,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.just("$float"), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(HELD)
@settings(max_examples=300, deadline=None)
def test_every_value_survives_json(value):
    tensors = {}
    normal = values.normalize(value)
    text = json.dumps(values.encode(normal, "it", tensors), allow_nan=False)
    assert values.same(values.decode(json.loads(text), tensors), normal)


def test_a_result_comes_back_equal(tmp_path):
    toy = make_toy(pairs=(("a", torch.ones(3)), ("b", torch.full((2,), torch.nan))))
    assert Toy.load(toy.save(tmp_path / "toy")) == toy
    assert toy != make_toy(seed=1)
    assert {path.name for path in (tmp_path / "toy").iterdir()} == {
        "result.json",
        "tensors.safetensors",
    }


def test_saving_again_replaces_and_same_bytes(tmp_path):
    make_toy(seed=1).save(tmp_path)
    make_toy().save(tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    Toy.load(tmp_path).save(tmp_path)
    assert first == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_tensors_are_copied_to_float32_and_compact():
    source = torch.zeros(100, 100, dtype=torch.float64, requires_grad=True)
    toy = make_toy(score=source[:3, :4])
    assert toy.score.dtype == torch.float32 and not toy.score.requires_grad
    assert toy.score.untyped_storage().nbytes() == 3 * 4 * 4


@pytest.mark.parametrize(
    "changes",
    [
        {"score": torch.zeros(3)},
        {"rank": torch.zeros(4)},
        {"pairs": "abcd"},
        {"kind": "other"},
        {"note": 3},
        {"by_name": {1: 2.0}},
        {"note": object()},
        {"interval": 0.5},
    ],
)
def test_a_field_that_breaks_its_annotation_is_refused(changes):
    with pytest.raises(TypeError):
        make_toy(**changes)


def test_repr_and_str_are_short():
    assert "float32[3, 4]" in repr(make_toy())
    assert str(make_toy()).startswith("mean score")
    assert hash(make_toy()) == hash(make_toy())


def test_damage_is_refused(tmp_path):
    """Every mutated folder is a CheckpointError or an equal result."""
    toy = make_toy()
    rng = random.Random(0)
    for case in range(150):
        folder = toy.save(tmp_path / "toy")
        path = folder / rng.choice(["result.json", "tensors.safetensors"])
        content = bytearray(path.read_bytes())
        kind = rng.choice(["flip", "cut", "missing", "pickle", "swap", "nest"])
        if kind == "flip":
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        elif kind == "cut":
            del content[rng.randrange(len(content)) :]
        elif kind == "pickle":
            content = pickle.dumps({"a": 1})
        elif kind == "swap":
            content = bytes(content).replace(b"$tensor", b"$record").replace(b"Toy", b"Int")
        elif kind == "nest":
            content = b"[" * 100_000
        path.write_bytes(content)
        if kind == "missing":
            path.unlink()
        try:
            loaded = Toy.load(folder)
        except CheckpointError:
            continue
        assert loaded == toy, case


def test_a_result_of_no_known_instrument_is_refused(tmp_path):
    folder = make_toy().save(tmp_path)
    with pytest.raises(CheckpointError, match="no instrument"):
        load_result(folder)


@pytest.mark.parametrize("dtype", ["float32)\nimport os  #", "float32, step=print(1)", ""])
def test_a_precision_that_is_none_is_no_python_of_a_result(tmp_path, dtype):
    folder = make_toy(provenance=provenance_of_toy(dtype=dtype)).save(tmp_path)
    with pytest.raises(CheckpointError, match="dtype"):
        Toy.load(folder)


def test_provenance_is_told_whole():
    origin = provenance_of_toy(hooks=["blocks.0.hook_resid_post"])
    assert origin == provenance_of_toy(hooks=("blocks.0.hook_resid_post",))
    assert isinstance(origin, Provenance) and origin.hooks == ("blocks.0.hook_resid_post",)


def test_the_size_of_a_result_is_that_of_what_it_holds():
    small, large = make_toy(score=torch.zeros(3, 4)), make_toy(score=torch.zeros(300, 400))
    assert size_bytes(large) - size_bytes(small) == 4 * (300 * 400 - 3 * 4)
    assert size_bytes(("word" * 1000,)) > 4000
    assert size_bytes({"a": (torch.zeros(1000), [1.5] * 100)}) > 4800


def resigned(folder, change) -> None:
    """Change a saved result, and sign it as its writer would."""
    file = folder / "result.json"
    about = json.loads(file.read_text())
    change(about)
    plain = {name: value for name, value in about.items() if name != "sha256"}
    digest = sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
    file.write_text(json.dumps(plain | {"sha256": digest}))


@pytest.mark.parametrize("value", [None, "0.5", [1], {"$float": "x"}, True])
@pytest.mark.parametrize("part", ["value", "low", "n"])
def test_an_interval_of_another_kind_is_refused(part, value, tmp_path):
    earlier = Path(__file__).parents[1] / "earlier" / "results"
    shutil.copytree(earlier / "surprise", tmp_path / "r")

    def change(about):
        intervals = re.findall(r'\{"\$record": \["Interval", .*?\}\]\}', json.dumps(about))
        first = json.loads(intervals[0])
        first["$record"][1][part] = value
        text = json.dumps(about).replace(intervals[0], json.dumps(first), 1)
        about.update(json.loads(text))

    resigned(tmp_path / "r", change)
    with pytest.raises(CheckpointError, match="does not hold what a"):
        load_result(tmp_path / "r")


def test_values_that_do_not_go_together_are_a_sentence(tmp_path):
    """Each field is of its kind; a token was left out."""
    earlier = Path(__file__).parents[1] / "earlier" / "results"
    shutil.copytree(earlier / "attention", tmp_path / "r")
    resigned(tmp_path / "r", lambda about: about["fields"]["tokens"].pop())
    with pytest.raises(CheckpointError, match="do not go together"):
        load_result(tmp_path / "r").frame()
