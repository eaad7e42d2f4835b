"""The Python of a result makes it again; what cannot be written down is asked for."""

import ast
import math

import pytest
import torch

import interp
from interp.core.edits import Add, Call, Where
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.io.checkpoint import save_model
from interp.models.io.load import load_model
from interp.models.tokenizer import Tokenizer
from interp.results.provenance import LARGEST_TEXT, Provenance, record
from interp.results.replay import code
from tests.toy import provenance_of_toy

TEXT = "Anna is in the garden. Ben is not in the garden."


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    tokenizer = Tokenizer.words([TEXT])
    cfg = GPTConfig(n_layers=2, d_model=16, n_heads=2, d_vocab=tokenizer.d_vocab, n_ctx=32)
    made = GPT(cfg, tokenizer, seed=3, name="tiny").eval()
    made.step = 7
    return load_model(save_model(made, tmp_path_factory.mktemp("models") / "tiny"), device="cpu")


def run(text: str):
    """What the code makes, in a namespace of its own."""
    space: dict = {}
    exec(compile(text, "<report>", "exec"), space)
    return space["result"]


def test_the_code_of_a_result_makes_it_again(model, capsys):
    edit = Add(hook=("resid_pre", 1), vector=torch.arange(16.0), where=Where(start=2))
    plain = interp.logit_lens(model, TEXT, k=3, untrained=False)
    edited = interp.logit_lens(model, TEXT, edits=[edit], untrained=False, seed=4)
    assert plain != edited
    for result in (plain, edited, interp.attention(model, TEXT, untrained=1)):
        assert run(result.code()) == result
        assert capsys.readouterr().out.strip() == str(result)


def test_results_among_the_arguments_are_made_again_too(model):
    lens = interp.tuned_lens(model, [TEXT] * 12, held_out=[TEXT] * 12, steps=3)
    result = interp.logit_lens(model, TEXT, lens=lens, untrained=False)
    text = result.code()
    assert text.index("interp.tuned_lens(") < text.index("interp.logit_lens(")
    assert text.count("interp.load_model(") == 1
    assert run(text) == result


def test_defaults_are_left_out_and_the_rest_is_named(model):
    result = interp.logit_lens(model, TEXT, untrained=False)
    (call,) = [line for line in ast.parse(result.code()).body if "logit_lens" in ast.unparse(line)]
    assert [word.arg for word in call.value.keywords] == ["prompt", "untrained"]
    assert "step=7" in result.code() and model.hash in result.code()


def test_the_code_survives_the_disk(model, tmp_path):
    result = interp.logit_lens(model, TEXT, targets=[" garden"], untrained=False)
    assert type(result).load(result.save(tmp_path)).code() == result.code()


HARD = {
    "text": "quote \" and ' and \n and </script>",
    "floats": [1.5, math.inf, -math.inf],
    "chosen": frozenset({"b", "a"}),
    "names": {"a": (1, None, True)},
    "vector": torch.tensor([1.0, 2.0]),
    "flags": torch.tensor([True, False]),
}


def test_every_kind_of_argument_comes_back():
    calls = []

    def spy(model, **given):
        calls.append(given)
        return "result"

    origin = provenance_of_toy(call={name: record(value) for name, value in HARD.items()})
    text = code(origin).replace("interp.toy(", "spy(").replace("interp.load_model", "str")
    text = text.replace(", step=512", "")
    exec(text, {"spy": spy})
    (given,) = calls
    assert torch.equal(given.pop("vector"), HARD["vector"])
    assert torch.equal(given.pop("flags"), HARD["flags"])
    assert given == {
        "text": HARD["text"],
        "floats": HARD["floats"],
        "chosen": {"a", "b"},
        "names": {"a": [1, None, True]},
    }


@pytest.mark.parametrize(
    "value, words",
    [
        (["x" * 30] * (LARGEST_TEXT // 20), "1000 texts of 30,000 characters"),
        (torch.zeros(2000), "float32 array of shape [2000]"),
        ([Call(hook=("z", 0), function=lambda x, context: x)], "function of yours"),
        (object(), "a object"),
    ],
)
def test_what_cannot_be_written_down_is_asked_for(value, words):
    text = code(provenance_of_toy(call={"given": record(value)}))
    ast.parse(text)
    assert "given = ...  # give your own here" in text and words in text


def test_a_model_that_was_never_saved_is_said_to_be():
    origin = Provenance(instrument="toy", model="gpt", model_hash="00")
    assert "never saved" in code(origin)


def test_precision_and_step_are_asked_for():
    text = code(provenance_of_toy(dtype="bfloat16", source="runs/a"))
    assert "load_model('runs/a', step=512, dtype=torch.bfloat16)" in text and "import torch" in text
