"""A model folder comes back equal, or is refused: 500 seeded mutations, and each rule by itself."""

import io
import json
import math
import os
import pickle
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from interp.core.errors import CheckpointError, ConfigError, NonFiniteError
from interp.core.files import inside, sha256_file
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.io.checkpoint import checkpoint_steps, open_model, save_model, save_weights
from interp.models.io.load import load_model, shipped_models
from interp.models.no_tokenizer import NoTokenizer
from interp.models.tokenizer import Tokenizer

TOKENIZER = Tokenizer.words(["Anna is in the garden. Ben is happy."])
SHAPE = dict(n_layers=2, d_model=12, n_heads=2, d_vocab=TOKENIZER.d_vocab, n_ctx=16)
FOUND = []


class Bomb:
    """Unpickling this leaves a trace."""

    def __reduce__(self):
        return FOUND.append, ("code ran",)


def tiny(**changes: object) -> GPT:
    model = GPT(GPTConfig(**(SHAPE | changes)), TOKENIZER, seed=3, name="tiny")
    model.step = 40
    return model


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    model = tiny(positions="rotary", act="silu", gated=True)
    save_model(model, folder)
    save_weights(folder, 8, {n: p * 2 for n, p in model.named_parameters()}, dtype=torch.bfloat16)
    save_weights(folder, 16, dict(model.named_parameters()))
    return folder


def test_a_model_comes_back_equal(whole, any_model, tmp_path):
    model = open_model(whole)
    assert model.hash == tiny(positions="rotary", act="silu", gated=True).hash
    assert (model.step, model.name, model.tokenizer.hash) == (40, "tiny", TOKENIZER.hash)
    save_model(any_model, tmp_path / "family")
    again = open_model(tmp_path / "family")
    assert (again.hash, again.cfg) == (any_model.hash, any_model.cfg)
    assert isinstance(again.tokenizer, NoTokenizer)
    tokens = torch.tensor([[1, 2, 3]])
    assert torch.equal(again(tokens), any_model(tokens))


def test_checkpoints_open_by_step(whole):
    assert checkpoint_steps(whole) == [8, 16]
    early, late = (open_model(whole, step) for step in (8, 16))
    assert (early.step, late.step, open_model(whole, 40).step) == (8, 16, 40)
    assert late.hash == open_model(whole).hash != early.hash
    halved = late.embed.weight.bfloat16().float() * 2
    assert torch.equal(early.embed.weight, halved), "bfloat16 history comes back as float32"
    assert load_model(whole / "checkpoints" / "step-000008", device="cpu").hash == early.hash
    with pytest.raises(CheckpointError, match="8, 16"):
        open_model(whole, 9)


def test_a_run_that_is_not_done_opens_at_its_newest_step(whole, tmp_path):
    folder = Path(shutil.copytree(whole, tmp_path / "run"))
    (folder / "model.safetensors").unlink()
    (folder / "run.json").write_text('{"recipe": {}}')
    assert open_model(folder).step == 16


def test_saving_keeps_what_else_is_there(whole, tmp_path):
    folder = Path(shutil.copytree(whole, tmp_path / "run"))
    (folder / "run.json").write_text('{"recipe": {"seed": 5}}')
    (folder / "README.md").write_text("my card")
    save_model(tiny(), folder)
    assert json.loads((folder / "run.json").read_text())["recipe"] == {"seed": 5}
    assert (folder / "README.md").read_text() == "my card"
    assert checkpoint_steps(folder) == [8, 16]
    assert not [path for path in folder.rglob("*") if path.suffix in (".tmp", ".old")]


def test_saving_twice_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        save_model(tiny(), tmp_path / name / "tiny")
    first, second = (sorted((tmp_path / name).rglob("*.*")) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


Mutation = Callable[[Path, random.Random], None]


def targets(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.rglob("*")) if p.is_file() and "checkpoints" not in p.parts]


def truncate(folder: Path, rng: random.Random) -> None:
    path = rng.choice(targets(folder))
    content = path.read_bytes()
    path.write_bytes(content[: rng.choice([0, 1, 8, len(content) // 2, len(content) - 1])])


def flip(folder: Path, rng: random.Random) -> None:
    path = rng.choice(targets(folder))
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 1, 20])):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(content))


def lose(folder: Path, rng: random.Random) -> None:
    rng.choice(targets(folder)).unlink()


def replace(folder: Path, rng: random.Random) -> None:
    junk = [b"", b"\0" * 64, b"[" * 50_000, b"null", rng.randbytes(300), b"\xff\xfe", b'{"a":' * 9]
    rng.choice(targets(folder)).write_bytes(rng.choice(junk))


def reseal(folder: Path) -> None:
    """Make the record agree with the files, as someone with bad intentions would."""
    path = folder / "run.json"
    record = json.loads(path.read_text())
    record["sha256"] = {name: sha256_file(folder / name) for name in record["sha256"]}
    path.write_text(json.dumps(record))


def huge_header(folder: Path, rng: random.Random) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    length = rng.choice([2**63, 2**64 - 1, 10**9, len(content), 0, 1])
    path.write_bytes(struct.pack("<Q", length) + content[8:])
    reseal(folder)


def lying_header(folder: Path, rng: random.Random) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    name = rng.choice([key for key in header if key != "__metadata__"])
    entry, wrong = header[name], rng.randrange(5)
    if wrong == 0:
        entry["data_offsets"] = [entry["data_offsets"][0], 10**12]
    elif wrong == 1:
        entry["shape"] = [2**40, 2**40]
    elif wrong == 2:
        entry["dtype"] = rng.choice(["F64", "I8", "F8_E4M3", "C64", "X99", "BOOL"])
    elif wrong == 3:
        header[rng.choice(["../../x", "/etc/passwd", "", "a\0b"])] = header.pop(name)
    else:
        header["extra"] = entry
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + content[8 + size :])
    reseal(folder)


def other_tensors(folder: Path, rng: random.Random) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    name, wrong = rng.choice(sorted(tensors)), rng.randrange(5)
    if wrong == 0:
        tensors[name] = tensors[name].flatten()[:-1].clone()
    elif wrong == 1:
        tensors[name] = tensors[name].to(rng.choice([torch.int64, torch.uint8, torch.bool]))
    elif wrong == 2:
        del tensors[name]
    elif wrong == 3:
        tensors[name + ".more"] = tensors[name].clone()
    else:
        tensors[name] = tensors[name][None].clone()
    save_file(tensors, path)
    reseal(folder)


def other_settings(folder: Path, rng: random.Random) -> None:
    path = folder / "config.json"
    settings = json.loads(path.read_text())
    sizes = [k for k, v in settings.items() if isinstance(v, int) and not isinstance(v, bool)]
    key = rng.choice(sizes)
    settings[key] = rng.choice([-1, 0, 1, 7, 10**9, 10**30, "4", None, [], 2.5, {"a": 1}])
    path.write_text(json.dumps(settings))
    if rng.random() < 0.8:
        reseal(folder)


def other_words(folder: Path, rng: random.Random) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    wrong = rng.randrange(4)
    if wrong == 0:
        content["model"]["vocab"]["zebra"] = rng.choice([10**6, -1, 10**12, "x"])
    elif wrong == 1:
        content["model"]["type"] = rng.choice(["BPE", "Nope", 3])
    elif wrong == 2:
        content["pre_tokenizer"]["pattern"] = {"Regex": "((((" * 50}
    else:
        content.pop(rng.choice(sorted(content)))
    path.write_text(json.dumps(content))
    reseal(folder)


def tricks(folder: Path, rng: random.Random) -> None:
    path = folder / "run.json"
    record = json.loads(path.read_text())
    wrong = rng.randrange(5)
    if wrong == 0:
        record["sha256"] = {rng.choice(["../x", "/etc/passwd", "~/x"]): "0" * 64}
    elif wrong == 1:
        record["sha256"] = rng.choice([None, [], "x", {}, {"config.json": 1}])
    elif wrong == 2:
        record["sha256"]["model.safetensors"] = rng.choice([None, "", "0" * 64, ["x"]])
    elif wrong == 3:
        record = rng.choice([[], 3, "x", None])
    else:
        record["step"], record["sha256"] = "../../etc", {"model.safetensors": "0"}
    path.write_text(json.dumps(record))


def link(folder: Path, rng: random.Random) -> None:
    path = rng.choice(targets(folder))
    path.unlink()
    goal = rng.choice(["/etc/passwd", "/dev/zero", ".", path.name, "nowhere", "../secret"])
    path.symlink_to(goal)


def special(folder: Path, rng: random.Random) -> None:
    path = rng.choice(targets(folder))
    path.unlink()
    if rng.random() < 0.5:
        path.mkdir()
    else:
        os.mkfifo(path)


def pickled(folder: Path, rng: random.Random) -> None:
    raw = pickle.dumps(Bomb(), protocol=rng.choice([0, 2, 4, 5]))
    if rng.random() < 0.3:
        buffer = io.BytesIO()
        torch.save({"a": Bomb()}, buffer)
        raw = buffer.getvalue()
    name = rng.choice(["model.safetensors", "config.json", "tokenizer.json", "run.json"])
    (folder / name).write_bytes(raw)
    if name != "run.json" and rng.random() < 0.7:
        reseal(folder)
    if rng.random() < 0.3:
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


MUTATIONS: list[Mutation] = [
    *(truncate, flip, lose, replace, huge_header, lying_header, other_tensors),
    *(other_settings, other_words, tricks, link, special, pickled),
]


@pytest.mark.slow
def test_500_mutated_folders_are_refused_or_equal(whole, tmp_path):
    expected = open_model(whole)
    outcomes: dict[str, list[int]] = {mutate.__name__: [0, 0] for mutate in MUTATIONS}
    for i in range(500):
        mutate = MUTATIONS[i % len(MUTATIONS)]
        folder = Path(shutil.copytree(whole, tmp_path / f"m{i}" / "tiny"))
        shutil.rmtree(folder / "checkpoints")
        mutate(folder, random.Random(i))
        try:
            model = load_model(folder, device="cpu")
        except CheckpointError as error:
            assert str(error) and str(folder.parent) in str(error), "the text names the file"
            outcomes[mutate.__name__][0] += 1
        else:
            assert_same(model, expected, resealed=mutate in (other_settings, other_words))
            outcomes[mutate.__name__][1] += 1
        shutil.rmtree(folder)
    assert FOUND == [], "no code ran"
    assert sum(map(sum, outcomes.values())) == 500
    refused = {name: counts[0] for name, counts in outcomes.items()}
    assert all(refused.values()), f"each kind is refused at least once: {refused}"


def assert_same(model: GPT, expected: GPT, resealed: bool) -> None:
    assert model.hash == expected.hash, "a silent difference"
    if not resealed:  # who rewrites a file and its hash has written another, honest folder
        assert model.cfg == expected.cfg
        assert model.tokenizer.hash == expected.tokenizer.hash


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl", "x.ckpt"])
def test_pickles_are_refused_by_name_and_why(tmp_path, name):
    (tmp_path / "config.json").write_text('{"architectures": ["GPT2LMHeadModel"]}')
    (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CheckpointError, match="pickled file: reading it could run any program"):
        load_model(tmp_path / name)
    if name.endswith(".bin"):
        with pytest.raises(CheckpointError, match="pickle"):
            load_model(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(CheckpointError, match="pickle"):
        load_model(tmp_path)
    assert FOUND == []


def test_a_folder_without_a_record_is_refused(whole, tmp_path):
    folder = Path(shutil.copytree(whole, tmp_path / "x"))
    shutil.rmtree(folder / "checkpoints")
    (folder / "run.json").unlink()
    with pytest.raises(CheckpointError, match=r"run\.json"):
        load_model(folder)


def test_steps_and_names_are_checked(tmp_path, whole):
    moved = Path(shutil.copytree(whole, tmp_path / "x")) / "checkpoints"
    (moved / "step-000008").rename(moved / "step-000009")
    with pytest.raises(CheckpointError, match="step 8"):
        open_model(tmp_path / "x", 9)
    with pytest.raises(CheckpointError, match="no/such"):
        load_model("no/such/folder")
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(ConfigError, match="steps"):
        load_model(tmp_path / "hf", step=3)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "", "a/../../x", "C:\\x", "a\0", None, 3])
def test_names_stay_inside_their_folder(name, tmp_path):
    with pytest.raises(CheckpointError, match="inside"):
        inside(tmp_path, name)
    assert inside(tmp_path, "a/b.txt") == tmp_path / "a" / "b.txt"


def test_shipped_models_open_by_name():
    for name in shipped_models():
        model = load_model(name, device="cpu")
        assert model.name == name
        assert load_model(f"trained_models/{name}", device="cpu").hash == model.hash


def test_dtype_and_device_are_obeyed(whole):
    model = load_model(whole, device="cpu", dtype=torch.float64)
    assert model.embed.weight.dtype == torch.float64
    single = load_model(whole, device="cpu")
    np.testing.assert_array_equal(model.embed.weight.float().detach(), single.embed.weight.detach())
    assert single.source == str(whole)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused(broken, tmp_path, tiny_model):
    save_model(tiny_model, tmp_path)
    with torch.no_grad():
        tiny_model.blocks[1].mlp.up.weight[0, 0] = broken
    with pytest.raises(NonFiniteError, match=r"finite weights; blocks\.1\.mlp\.up\.weight"):
        save_model(tiny_model, tmp_path)
    save_file(dict(tiny_model.named_parameters()), tmp_path / "model.safetensors")
    record = json.loads((tmp_path / "run.json").read_text())
    record["sha256"]["model.safetensors"] = sha256_file(tmp_path / "model.safetensors")
    (tmp_path / "run.json").write_text(json.dumps(record))
    save_weights(tmp_path, 3, dict(tiny_model.named_parameters()))
    for step in (None, 3):
        with pytest.raises(CheckpointError, match=r"finite; 1 of .* blocks\.1\.mlp\.up\.weight"):
            open_model(tmp_path, step)
