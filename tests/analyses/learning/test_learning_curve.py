"""A tiny run's curves: what its record says, up to the model's step, in few points."""

import json
import math
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from interp.analyses.learning.learning_curve import FEWEST_POINTS, LearningCurve, learning_curve
from interp.cli.progress import numbers
from interp.core.errors import CheckpointError, ConfigError, NotEnoughDataError
from interp.models.config import GPTConfig
from interp.models.io.load import load_model
from interp.plots.learning.learning_curve import drawable
from interp.runs.curves import curves_of, points_to_keep
from interp.runs.metrics import METRICS, read_metrics
from interp.training.data.batches import fixed_batch
from interp.training.data.sources import write_text_corpus, write_world_corpus
from interp.training.loop.baselines import write_baselines
from interp.training.loop.pretrain import RunProgress, train
from interp.training.recipe.config import TrainConfig
from interp.training.recipe.pacing import paced
from interp.worlds import load_world

LEVELS = ("gap-0", "gap-1")
STEPS, BATCH, CONTEXT, RATE = 40, 8, 24, 0.02
VIEWS = ("loss", "learning_rate", "gradient_norm", "tokens_per_second")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of two stages on a world whose floor is known."""
    out = tmp_path_factory.mktemp("runs")
    options = {"n_documents": 40, "n_held_out": 4, "levels": LEVELS}
    corpus = write_world_corpus(load_world("homes"), out / "corpus", **options)
    sizes = {"n_layers": 1, "d_model": 16, "n_heads": 2, "n_ctx": 64}
    config = TrainConfig(
        model=GPTConfig(d_vocab=corpus.tokenizer.d_vocab, **sizes), steps=STEPS, batch_size=BATCH,
        context=CONTEXT, rows="document", stages=paced(LEVELS, STEPS, order="curriculum"),
        checkpoint_every=10, eval_every=10, eval_tokens=64, log_every=5, muon_lr=RATE,
    )  # fmt: skip
    write_baselines(out / "run", corpus, config)
    train(config, corpus.folder, out / "run", device="cpu", threads=1)
    return out / "run"


@pytest.fixture
def copied(folder, tmp_path):
    """The same run, to be spoilt."""
    return shutil.copytree(folder, tmp_path / "run")


@pytest.fixture(scope="module")
def result(folder):
    return learning_curve(load_model(folder))


def test_every_number_is_that_of_the_record(result, folder):
    updates = read_metrics(folder / METRICS, "train")
    assert result.updates.tolist() == [record["step"] for record in updates]
    losses = torch.tensor([record["loss_nats_per_token"] for record in updates])
    assert torch.equal(result.training_loss, losses)
    rates = torch.tensor([record["learning_rate_scale"] * RATE for record in updates])
    assert torch.allclose(result.learning_rate, rates)
    evaluations = read_metrics(folder / METRICS, "eval")
    assert result.evaluations.tolist() == [0, 10, 20, 30, 40]
    regrets = torch.tensor([record["regret_nats_per_token"] for record in evaluations])
    assert torch.allclose(result.regret, regrets, atol=1e-5)
    assert (result.tokens_per_second > 0).all() and result.timings[-1] == STEPS
    assert result.held_out_tokens == evaluations[-1]["tokens"]


def test_the_finding_stands_beside_floor_and_both_baselines(result, folder):
    last = read_metrics(folder / METRICS, "eval")[-1]
    per_byte = f"({last['loss_nats_per_byte']:.3f} per byte) at step 40 (floor "
    opening = f"Held-out loss {last['loss_nats_per_token']:.3f} nats/token {per_byte}"
    assert result.finding().startswith(opening)
    uniform = math.log(load_model(folder).cfg.d_vocab)
    assert f"uniform guess {uniform:.3f}; n = {last['tokens']}" in result.finding()
    assert list(result.levels) == ["uniform", "unigram", "floor"]
    assert "no interval" in result.caption() and "Muon" in result.caption()


def test_a_step_without_a_held_out_loss_tells_the_training_loss_too(folder):
    between = learning_curve(load_model(folder, step=16))
    loss = read_metrics(folder / METRICS, "train")[15]["loss_nats_per_token"]
    assert between.finding().endswith(f"; training loss {loss:.3f} nats/token at step 16.")
    assert "per byte) at step 10 (floor" in between.finding()


def test_it_ends_at_the_step_of_the_model_and_the_rest_of_the_run_changes_nothing(copied):
    early = learning_curve(load_model(copied, step=20))
    assert early.updates[-1] == 20 == early.evaluations[-1] == early.timings[-1]
    path = copied / METRICS
    kept_lines = [line for line in path.read_text().splitlines() if json.loads(line)["step"] <= 20]
    path.write_text("\n".join(kept_lines) + '\n{"kind": "tra')
    assert learning_curve(load_model(copied, step=20)) == early


def test_its_code_gives_the_same_numbers_in_a_fresh_process(folder, tmp_path):
    result = learning_curve(load_model(folder, step=30), points=50)
    assert "step=30" in result.code() and "points=50" in result.code()
    again = f"{result.code()}result.save({str(tmp_path / 'again')!r})\n"
    done = subprocess.run([sys.executable, "-c", again], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(result)
    assert LearningCurve.load(tmp_path / "again") == result


def test_stages_are_those_of_the_recipe_that_had_begun(result, folder):
    assert result.stages == LEVELS and result.stage_starts == (0, STEPS // 2)
    first = learning_curve(load_model(folder, step=20))
    assert first.stages == LEVELS[:1] and first.stage_at(20) == result.stage_at(20) == "gap-0"
    table = result.frame().set_index("step")
    assert table["stage"][20] == "gap-0" and table["stage"][21] == "gap-1"
    assert "2 gap-1 from step 20" in result.caption()


def test_shares_are_told_where_they_differ():
    mixes = ({"a": 3, "b": 1, "c": 0}, {"a": 1, "b": 1}, {})
    recipe = {"stages": [{"steps": 10, "mix": mix} for mix in mixes]}
    curves = curves_of([{"kind": "eval", "step": 99, "loss_nats_per_token": 1.0}], recipe, {})
    assert curves.stages == ("a 75% + b 25%", "a + b", "all levels")


def test_the_table_has_a_row_a_step(result):
    table = result.frame()
    assert table["step"].tolist() == list(range(STEPS + 1))
    assert table["held_out_loss_nats_per_token"].notna().sum() == 5
    assert table["training_loss_nats_per_token"].isna().tolist() == [True] + [False] * STEPS
    regret = table["held_out_loss_nats_per_token"] - table["floor_nats_per_token"]
    assert np.allclose(regret.dropna(), table["regret_nats_per_token"].dropna(), atol=1e-6)
    assert {"unigram_nats_per_token", "uniform_nats_per_token", "gradient_norm"} <= set(table)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("log_x", [False, True])
def test_each_curve_is_drawn(result, view, log_x):
    figure = result.figure(view=view, log_x=log_x)
    assert all(len(line.x) == len(line.y) > 0 for line in figure.data)
    assert figure.layout.xaxis.type == ("log" if log_x else "linear")
    words = [note.text for note in figure.layout.annotations]
    assert words == (["1", "2", "uniform", "unigram", "floor"] if view == "loss" else [])
    assert not log_x or all(min(line.x) > 0 for line in figure.data)


def test_it_survives_the_disk(result, tmp_path):
    assert LearningCurve.load(result.save(tmp_path / "curve")) == result


def test_a_first_checkpoint_is_a_curve_of_one_point(folder):
    first = learning_curve(load_model(folder, step=0))
    assert first.evaluations.tolist() == [0] and drawable(first) == ("loss",)
    assert "at step 0 (floor" in first.finding() and len(first.frame()) == 1
    assert first.figure().data[-1].mode == "lines+markers"
    with pytest.raises(ConfigError, match="no gradient norm; it has loss"):
        first.figure(view="gradient_norm")
    with pytest.raises(ConfigError, match="view needs to be one of loss"):
        first.figure(view="<b>")


def test_a_shipped_model_has_its_held_out_losses_and_no_more():
    result = learning_curve(load_model("stories-demo"))
    assert drawable(result) == ("loss",) and result.n_updates == 0
    assert list(result.levels) == ["uniform", "floor"]
    assert "unigram" not in result.caption() and len(result.stages) == 6


@pytest.mark.parametrize("points", [FEWEST_POINTS, 200, 1200])
def test_a_long_curve_has_few_points_and_keeps_its_extremes(points):
    random = np.random.default_rng(0)
    losses = random.random(20_000)
    losses[[4321, 15_000]] = 50.0, -50.0
    losses[7] = math.nan
    records = [
        {"kind": "train", "step": n, "loss_nats_per_token": loss, "grad_norm": 1 / n,
         "learning_rate_scale": 1 - n / 20_000}
        for n, loss in enumerate(losses.tolist(), start=1)
    ]  # fmt: skip
    curves = curves_of(records, {"muon_lr": 1.0}, {}, points=points)
    steps = curves.updates.tolist()
    assert len(steps) <= points and steps == sorted(set(steps))
    assert {1, 4322, 15_001, 20_000} <= set(steps)
    assert curves.n_updates == 20_000 and curves.n_not_finite == 1
    assert float(curves.gradient_norm.max()) == 1.0
    assert len([step for step in steps if step <= 200]) >= points / 20, "room on a log axis"


def test_what_is_short_is_kept_whole():
    values = np.arange(30.0)
    assert points_to_keep([values, -values], 30).tolist() == list(range(30))
    assert len(points_to_keep([np.full(100, math.nan)], 30)) == 2


def test_a_step_that_was_told_twice_counts_as_told_last():
    records = [{"kind": "eval", "step": step, "loss_nats_per_token": loss}
            for step, loss in ((10, 3.0), (20, 2.0), (10, 1.0))]  # fmt: skip
    curves = curves_of(records, {}, {})
    assert curves.evaluations.tolist() == [10, 20] and curves.held_out_loss.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "recipe",
    [
        {"stages": "<b>"},
        {"stages": [1, None]},
        {"stages": [{"steps": "x"}, {"mix": 3}]},
        {"stages": [{"mix": {"a": "b", "c": None}}, {}]},
        {"muon_lr": []},
    ],
)
def test_a_recipe_of_another_shape_tells_nothing(recipe):
    records = [{"kind": "train", "step": 1, "loss_nats_per_token": "x", "learning_rate_scale": 1}]
    curves = curves_of(records, recipe, {})
    assert len(curves.updates) == 1 and "learning_rate" not in drawable(curves)


def test_what_is_no_run_is_a_sentence(folder):
    model = load_model(folder)
    with pytest.raises(NotEnoughDataError, match="Open a run"):
        learning_curve(model.untrained(0))
    with pytest.raises(ConfigError, match="30 points or more; got points = 5"):
        learning_curve(model, points=5)


def test_a_run_without_a_loss_is_a_sentence(copied):
    path = copied / METRICS
    path.write_text('{"kind": "eval", "step": 40, "loss_nats_per_token": 1.0}\n')
    with pytest.raises(NotEnoughDataError, match="none up to step 10"):
        learning_curve(load_model(copied, step=10))
    assert learning_curve(load_model(copied)).n_updates == 0
    path.unlink()
    with pytest.raises(NotEnoughDataError, match="eval_every"):
        learning_curve(load_model(copied))


@pytest.mark.parametrize("name", [METRICS, "baselines.json"])
@pytest.mark.parametrize("content", [b"\xff\x00", b"[1]", b'{"uniform_nats_per_token": 0}'])
def test_a_damaged_file_is_named(copied, name, content):
    model = load_model(copied)
    whole = (copied / name).read_bytes()
    (copied / name).write_bytes(content + b"\n" + whole)
    with pytest.raises(CheckpointError, match=name):
        learning_curve(model)
    (copied / name).write_bytes(whole)
    assert learning_curve(model).n_updates == STEPS


def own_text_run(out, kind):
    """A run on own text; the corpus, the last evaluation and its curves."""
    lines = [f"Zoë paid {n} € for café number {n * 7 % 19}, naïve as ever — so she said." for n in
             range(120)]  # fmt: skip
    (out / "own.txt").write_text("\n".join(lines), encoding="utf-8")
    corpus = write_text_corpus(out / "own.txt", out / kind, tokenizer=kind, d_vocab=320)
    model = GPTConfig(d_vocab=corpus.tokenizer.d_vocab, n_layers=1, d_model=16, n_heads=2, n_ctx=32)
    config = TrainConfig(
        model=model, steps=4, batch_size=4, context=16, eval_every=2, eval_tokens=160
    )
    run = out / f"run-{kind}"
    train(config, corpus.folder, run, device="cpu", threads=1)
    slice_ = fixed_batch(corpus, n_rows=10, context=16, rows=config.rows)
    return corpus, slice_, read_metrics(run / METRICS, "eval"), learning_curve(load_model(run))


@pytest.mark.parametrize("kind", ["characters", "bpe"])
def test_the_loss_per_byte_of_own_text_is_the_same_nats_over_its_bytes(kind, tmp_path):
    corpus, slice_, records, curve = own_text_run(tmp_path, kind)
    counted = slice_.weights[:, 1:] > 0
    ids = slice_.tokens[:, 1:][counted].tolist()
    special = corpus.tokenizer.encode("")
    n_bytes = sum(len(b"".join(corpus.tokenizer.pieces([i]))) for i in ids if i not in special)
    assert len(ids) < n_bytes, "several bytes a token, in both"
    for record in records:
        assert (record["tokens"], record["bytes"]) == (len(ids), n_bytes)
        total = record["loss_nats_per_token"] * len(ids)
        assert record["loss_nats_per_byte"] == pytest.approx(total / n_bytes)
    last = records[-1]["loss_nats_per_byte"]
    assert f"nats/token ({last:.3f} per byte) at step 4" in curve.finding()
    column = curve.frame()["held_out_loss_nats_per_byte"].dropna().tolist()
    assert column == pytest.approx([r["loss_nats_per_byte"] for r in records])
    progress = RunProgress(
        step=4, steps=4, loss_nats_per_token=1.0, stage=0, evaluation=records[-1], seconds=1.0,
        tokens_per_second=1.0,
    )  # fmt: skip
    assert f"per byte {last:.3f}" in numbers(progress)


def test_runs_compare_by_bytes_as_by_hand_where_tokens_mislead(tmp_path):
    per_token, per_byte = [], []
    for kind in ("characters", "bpe"):
        _, _, records, _ = own_text_run(tmp_path, kind)
        first = records[0]  # a model that knows nothing pays ln(vocabulary) a token
        per_token.append(first["loss_nats_per_token"])
        per_byte.append(first["loss_nats_per_byte"])
        by_hand = first["loss_nats_per_token"] * first["tokens"] / first["bytes"]
        assert per_byte[-1] == pytest.approx(by_hand)
    assert per_token[0] < per_token[1] and per_byte[0] > per_byte[1]


def test_a_run_that_wrote_no_bytes_down_shows_none(copied):
    path = copied / METRICS
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        for name in ("bytes", "loss_nats_per_byte"):
            record.pop(name, None)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    curve = learning_curve(load_model(copied))
    assert "byte" not in curve.finding() and "byte" not in " ".join(curve.frame().columns)
