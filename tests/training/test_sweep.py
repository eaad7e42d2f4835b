"""`interp sweep`: a grid of runs; what was killed goes on to the same weights; a grid may grow."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from interp.cli.commands.sweep import command
from interp.core.errors import ConfigError, NotEnoughDataError
from interp.models.io.load import load_model
from interp.runs.metrics import read_metrics
from interp.runs.record import read_runs
from interp.training.data.corpus import Corpus
from interp.training.sweep import Finished, Grid, Point, SweepRecipe, sweep
from tests.training.tiny_run import write_tiny_corpus

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 300
SMALL = {
    "batch_size": 2,
    "context": 16,
    "rows": "window",
    "eval_tokens": 64,
    "checkpoint_every": 5,
    "model.n_layers": 1,
    "model.n_ctx": 16,
}
RECIPE = SweepRecipe(settings=SMALL)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return Corpus.open(write_tiny_corpus(tmp_path_factory.mktemp("text")))


def run(grid, corpus, folder, recipe=RECIPE):
    return sweep(grid, corpus, folder, recipe=recipe, device="cpu", threads=1)


def test_every_point_is_a_run_of_its_own(corpus, tmp_path):
    grid = Grid(sizes=(8, 4), steps=(3, 2), seeds=2)
    runs = run(grid, corpus, tmp_path)
    assert [each.point for each in runs] == list(grid.points()) and len(runs) == len(grid) == 8
    first = runs[0]
    assert isinstance(first, Finished) and first.point == Point(size=4, steps=2, seed=0)
    assert first.tokens == 2 * 2 * 16 and first.floor is None
    model = load_model(first.folder, device="cpu")
    assert first.parameters == sum(p.numel() for p in model.parameters())
    assert model.cfg.d_model == 4 and model.cfg.d_mlp == 8 and model.step == 2
    assert len({each.loss for each in runs}) == 8
    names = sorted(each.folder.name for each in runs)
    assert [each.name for each in read_runs([tmp_path])] == names


def test_finished_runs_are_kept_and_a_grid_may_grow(corpus, tmp_path):
    (first,) = run(Grid(sizes=(4,), steps=(2,)), corpus, tmp_path)
    written_at = (first.folder / "run.json").stat().st_mtime_ns
    more = run(Grid(sizes=(4, 8), steps=(2,)), corpus, tmp_path)
    assert more[0] == first and (first.folder / "run.json").stat().st_mtime_ns == written_at
    assert json.loads((tmp_path / "sweep.json").read_text())["sizes"] == [4, 8]


@pytest.mark.parametrize("text", ["", "[]", '{"model_hash'])
def test_a_damaged_record_of_a_run_is_written_anew(corpus, tmp_path, text):
    (first,) = run(Grid(sizes=(4,), steps=(2,)), corpus, tmp_path)
    hashed = load_model(first.folder).hash
    (first.folder / "run.json").write_text(text)
    assert run(Grid(sizes=(4,), steps=(2,)), corpus, tmp_path) == [first]
    assert load_model(first.folder).hash == hashed


def test_an_earlier_loss_never_stands_for_the_last(corpus, tmp_path):
    (first,) = run(Grid(sizes=(4,), steps=(2,)), corpus, tmp_path)
    path = first.folder / "metrics.jsonl"
    earlier = read_metrics(path, "eval")[-1] | {"step": 1}
    for content in ("", json.dumps(earlier)):
        path.write_text(content)
        with pytest.raises(NotEnoughDataError, match="held-out loss after its last step, 2"):
            run(Grid(sizes=(4,), steps=(2,)), corpus, tmp_path)


def test_another_recipe_or_text_is_refused(corpus, tmp_path):
    run(Grid(sizes=(4,), steps=(2,)), corpus, tmp_path)
    with pytest.raises(ConfigError, match="settings was"):
        run(
            Grid(sizes=(4,), steps=(2,)),
            corpus,
            tmp_path,
            SweepRecipe(settings=SMALL | {"context": 8}),
        )
    with pytest.raises(ConfigError, match="preset was 'demo'"):
        other = SweepRecipe(settings=SMALL, preset="qwen3-tiny")
        run(Grid(sizes=(4,), steps=(2,)), corpus, tmp_path, other)
    with pytest.raises(ConfigError, match="muon_lrr"):
        run(
            Grid(sizes=(4,), steps=(2,)),
            corpus,
            tmp_path / "x",
            SweepRecipe(settings={"muon_lrr": 1}),
        )
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "sizes, steps, seeds", [((), (1,), 1), ((4,), (0,), 1), ((4,), (1,), 0), ((6,), (1,), 1)]
)
def test_a_grid_that_cannot_be_is_refused(sizes, steps, seeds):
    with pytest.raises(ConfigError, match="must be"):
        Grid(sizes=sizes, steps=steps, seeds=seeds)


def test_a_grid_without_end_is_refused():
    with pytest.raises(ConfigError, match="at most 500"):
        Grid(sizes=tuple(range(4, 84, 4)), steps=tuple(range(1, 30)))


def options(text, out, steps):
    settings = [f"--set={name}={json.dumps(value)}" for name, value in SMALL.items()]
    options = ["--data", text, "--out", out, "--sizes", "4,8", "--steps", steps, "--seeds", 1]
    return [*map(str, options), "--device", "cpu", "--threads", "1", *settings]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "tales.txt"
    path.write_text("\n<|endoftext|>\n".join("Anna went to the garden. " * 6 for _ in range(30)))
    return path


def start(text, out, steps):
    return subprocess.Popen(
        [sys.executable, "-m", "interp", "sweep", *options(text, out, steps)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )


@pytest.mark.slow
def test_a_killed_sweep_goes_on_to_the_same_weights(text, tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = start(text, killed, "120")
    states = killed / "size-4-steps-120-seed-0" / "states"
    limit = time.monotonic() + PATIENCE_SECONDS
    while not any(states.glob("step-*")):
        assert process.poll() is None and time.monotonic() < limit
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len([*killed.glob("*/model.safetensors")]) < 2
    again = CliRunner().invoke(command, options(text, killed, "120"), catch_exceptions=False)
    assert again.exit_code == 0, again.output
    assert again.output.count("size-") == 2 and "2 runs" in again.output
    plain = CliRunner().invoke(command, options(text, whole, "120"), catch_exceptions=False)
    assert plain.exit_code == 0, plain.output
    runs = sorted(path.name for path in whole.glob("size-*"))
    assert len(runs) == 2
    for name in runs:
        assert load_model(killed / name).hash == load_model(whole / name).hash


def test_what_cannot_be_asked_for(text, tmp_path):
    both = CliRunner().invoke(command, ["--data", str(text), "--world", "stories"])
    assert isinstance(both.exception, ConfigError) and "got both" in str(both.exception)
    words = CliRunner().invoke(command, ["--sizes", "8,<b>"])
    assert words.exit_code == 2 and "whole numbers" in words.output
    none = CliRunner().invoke(command, ["--sizes", ",", "--out", str(tmp_path / "x")])
    assert isinstance(none.exception, ConfigError)
