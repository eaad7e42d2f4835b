"""`interp train`: text in, a run out; the same command goes on; what cannot be is refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from interp.cli.commands.train import command, read_settings
from interp.cli.resumable import Stopped, resumable
from interp.core.errors import CheckpointError, ConfigError
from interp.models.io.load import load_model
from interp.runs.metrics import read_metrics
from interp.training.recipe.recipes import demo_recipe
from interp.training.run.signals import Terminated

SMALL = {
    "model.n_layers": 1,
    "model.d_model": 16,
    "model.n_heads": 2,
    "model.d_mlp": 16,
    "model.n_ctx": 16,
    "eval_tokens": 64,
}
PATIENCE_SECONDS = 300
SETTINGS = [f"--set={name}={value}" for name, value in SMALL.items()]
OPTIONS = ["--batch-size", "2", "--context", "16", "--device", "cpu", *SETTINGS]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "tales.txt"
    path.write_text("\n<|endoftext|>\n".join("Anna went to the garden. " * 6 for _ in range(30)))
    return path


def train(*arguments: object):
    return CliRunner().invoke(command, [*map(str, arguments), *OPTIONS], catch_exceptions=True)


def test_text_becomes_a_model_and_the_same_command_goes_on(text, tmp_path):
    out = tmp_path / "run"
    first = train("--data", text, "--out", out, "--steps", 2, "--tokenizer", "words")
    assert first.exit_code == 0, first.output
    # All its documents are equal: the held-out ones were trained on, and it says so.
    remark = "letter by letter: 3 of 3"
    assert first.stderr.startswith("Warning: ") and remark in first.stderr
    assert remark in json.loads((out / "run.json").read_text())["corpus"]["remarks"][0]
    more = train("--data", text, "--out", out, "--steps", 4, "--tokenizer", "words")
    assert more.exit_code == 0, more.output
    model = load_model(out, device="cpu")
    assert model.step == 4 and model.cfg.n_layers == 1
    assert model.tokenizer.decode(model.tokenizer.encode("Anna went")) == "Anna went"
    assert [r["step"] for r in read_metrics(out / "metrics.jsonl", "train")] == [1, 2, 3, 4]


def test_json_lines_and_characters(tmp_path):
    rows = [json.dumps({"text": f"Ben sang song {i}."}) for i in range(40)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    out = tmp_path / "run"
    done = train(
        "--data", tmp_path / "rows.jsonl", "--out", out, "--steps", 1, "--tokenizer", "characters"
    )
    assert done.exit_code == 0, done.output


def test_a_run_keeps_the_corpus_it_began_with(text, tmp_path):
    out = tmp_path / "run"
    train("--data", text, "--out", out, "--steps", 1, "--tokenizer", "words")
    again = train("--data", text, "--out", out, "--steps", 1, "--tokenizer", "characters")
    assert isinstance(again.exception, ConfigError)
    assert "tokenizer was 'words', now 'characters'" in str(again.exception)


@pytest.mark.parametrize("source", [[], ["--data", "x.txt", "--world", "stories"]])
def test_one_source_is_needed(source, tmp_path):
    done = train(*source, "--out", tmp_path / "run", "--steps", 1)
    assert isinstance(done.exception, ConfigError)


def test_a_setting_has_a_name_and_a_value():
    settings = ("betas=[0.9, 0.99]", "decay=cosine", "grad_clip=null")
    assert read_settings(settings) == {"betas": [0.9, 0.99], "decay": "cosine", "grad_clip": None}
    with pytest.raises(ConfigError, match="NAME=VALUE"):
        read_settings(("decay",))


def test_a_misspelt_setting_names_the_nearest(text, tmp_path):
    done = train("--data", text, "--out", tmp_path / "run", "--set", "muon_rl=0.1")
    assert isinstance(done.exception, ConfigError) and "muon_lr" in str(done.exception)


def test_a_world_with_a_recipe_is_trained_by_it(tmp_path):
    out = tmp_path / "run"
    done = train("--world", "stories", "--documents", 5, "--steps", 2, "--out", out)
    assert done.exit_code == 0, done.output
    recipe = json.loads((out / "run.json").read_text())["recipe"]
    expected = demo_recipe().config(recipe["model"]["d_vocab"], steps=2).to_dict()
    given = {"model", "batch_size", "context", "eval_tokens"}
    assert {k for k in expected if recipe[k] != expected[k]} <= given


def test_a_model_is_not_trained_over_and_nothing_is_written_beside_it(text, tmp_path):
    out = tmp_path / "run"
    train("--data", text, "--out", out, "--steps", 1, "--tokenizer", "words")
    shutil.rmtree(out / "states")
    shutil.rmtree(out / "corpus")
    (out / "baselines.json").unlink()
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    again = train("--data", text, "--out", out, "--steps", 1, "--tokenizer", "words")
    assert isinstance(again.exception, CheckpointError)
    assert "run.json, metrics.jsonl, checkpoints" in str(again.exception)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_what_sigterm_stopped_says_so():
    with pytest.raises(Stopped, match=r"by SIGTERM.*is saved") as stopped, resumable("The run"):
        raise Terminated("after step 3")
    assert stopped.value.exit_code == 143


@pytest.mark.slow
def test_ctrl_c_saves_leaves_with_130_and_says_how_to_go_on(text, tmp_path):
    out = tmp_path / "run"
    arguments = ["train", "--data", str(text), "--out", str(out), "--steps", "100000"]
    started = [sys.executable, "-m", "interp", *arguments, "--tokenizer", "words", *OPTIONS]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    process = subprocess.Popen(started, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not read_metrics(out / "metrics.jsonl", "train") and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert f"The run in {out} is saved; resume with: interp train --data" in errors
    assert any((out / "states").iterdir())
