"""`interp generate` shows each token as it is drawn, and never half a character."""

from dataclasses import dataclass

import pytest
from click.testing import CliRunner

from interp.cli.commands.generate import command, growing_text
from interp.core.edits import Scale, Where, to_json
from interp.core.protocols import Step
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.io.checkpoint import save_model
from interp.models.tokenizer import Tokenizer

TEXT = "Ané saw 🙂 in the hall; then Ané sang."


@dataclass
class Reader:
    """Stands where a model stands: only its tokenizer is read here."""

    tokenizer: Tokenizer


@pytest.fixture(scope="module")
def reader():
    return Reader(Tokenizer.bytes_bpe([TEXT], 257))


def steps(ids):
    blank = dict(probability=1.0, log_prob_nats=0.0, rank=0, draw=None, entropy_bits=0.0)
    return iter([Step(token=i, kept_mass=1.0, **blank) for i in ids])


@pytest.mark.parametrize("stop", [(), ("zebra",), ("sangria",)])
def test_the_pieces_are_whole_characters_and_add_up(reader, stop):
    ids = reader.tokenizer.encode(TEXT, bos=False)
    pieces = list(growing_text(reader, steps(ids), stop))
    assert "".join(pieces) == TEXT
    assert not any("\ufffd" in piece for piece in pieces)


def test_the_text_ends_before_a_stop_string(reader):
    ids = reader.tokenizer.encode(TEXT, bos=False)
    assert "".join(growing_text(reader, steps(ids), ("; then",))) == "Ané saw 🙂 in the hall"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    tokenizer = Tokenizer.words([TEXT])
    sizes = GPTConfig(n_layers=1, d_model=8, n_heads=2, d_vocab=tokenizer.d_vocab, n_ctx=32)
    return save_model(GPT(sizes, tokenizer, seed=1), tmp_path_factory.mktemp("model") / "tiny")


def run(*arguments):
    result = CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_same_seed_writes_the_same_text(folder):
    options = ("--max-new-tokens", 8, "--seed", 3, "--device", "cpu")
    first = run(folder, "Ané saw", *options)
    assert first == run(folder, "Ané saw", *options)
    assert first.startswith("Ané saw")
    assert first == "Ané saw" + run(folder, "Ané saw", "--only-new", *options)


def test_explain_prints_a_line_a_token(folder):
    lines = run(folder, "Ané", "--explain", "--max-new-tokens", 4, "--temperature", 0).splitlines()
    assert 1 <= len(lines) <= 4
    assert all("probability" in line and "greedy" in line for line in lines)


def test_an_edit_that_met_nothing_is_named_after_the_text(folder, tmp_path):
    edits = [
        Scale(hook=("resid_post", 0), factor=0.5, where=Where(positions=(position,)))
        for position in (1, 30)
    ]
    file = tmp_path / "edits.json"
    file.write_text(to_json(edits))
    for form in ([], ["--explain"]):
        told = run(folder, "Ané saw", "--edits", file, "--max-new-tokens", 3, *form)
        assert told.count("Warning") == 1 and f"changed nothing: {edits[1]}" in told
