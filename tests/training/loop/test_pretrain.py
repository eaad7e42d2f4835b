"""A run learns, resumes to the bit, refuses what does not fit, and stops when it must."""

import os
import signal

import pytest
import torch

from interp.core.errors import ConfigError, TrainingError
from interp.models.io.load import load_model
from interp.runs.metrics import read_metrics
from interp.training.loop.pretrain import train
from interp.training.run.signals import Interrupted, Terminated
from interp.training.run.state import newest_state
from tests.training.tiny_run import tiny_config, trace, train_in_a_child


class Crash(Exception):
    """Stands for anything that ends a process without warning."""


def crash_at(step):
    """A progress callback that crashes once so many updates are done."""

    def report(progress):
        if progress.step >= step:
            raise Crash

    return report


def send_at(step, number):
    """A progress callback that sends this process a signal."""

    def report(progress):
        if progress.step == step:
            os.kill(os.getpid(), number)

    return report


@pytest.fixture(scope="module")
def whole_run(corpus, tmp_path_factory):
    """An uninterrupted run: its folder."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(tiny_config(), corpus, folder, device="cpu")
    return folder


def test_the_loss_falls_and_every_step_is_on_record(whole_run):
    losses = [r["loss_nats_per_token"] for r in read_metrics(whole_run / "metrics.jsonl", "train")]
    steps = [r["step"] for r in read_metrics(whole_run / "metrics.jsonl", "train")]
    assert steps == list(range(1, 41))
    assert losses[0] == pytest.approx(torch.tensor(20.0).log().item(), rel=0.05)
    evaluations = read_metrics(whole_run / "metrics.jsonl", "eval")
    assert [r["step"] for r in evaluations] == [0, 10, 20, 30, 40]
    assert evaluations[-1]["loss_nats_per_token"] < evaluations[0]["loss_nats_per_token"]


def test_weights_are_kept_log_spaced_and_full_states_only_of_the_last_three(whole_run):
    kept = sorted(int(p.name[5:]) for p in (whole_run / "checkpoints").iterdir())
    assert kept == [0, 1, 2, 4, 5, 8, 10, 15, 16, 20, 25, 30, 32, 35, 40]
    assert len(list((whole_run / "states").iterdir())) == 3


@pytest.mark.parametrize("steps", [(3,), (5,), (18, 23, 36), (40,)])
def test_a_crashed_run_ends_with_the_same_bits(whole_run, corpus, tmp_path, steps):
    for step in steps:
        with pytest.raises(Crash):
            train(tiny_config(), corpus, tmp_path, device="cpu", progress=crash_at(step))
    train(tiny_config(), corpus, tmp_path, device="cpu")
    assert trace(tmp_path) == trace(whole_run)


def test_a_damaged_newest_state_costs_time_but_no_bits(whole_run, corpus, tmp_path, caplog):
    with pytest.raises(Crash):
        train(tiny_config(), corpus, tmp_path, device="cpu", progress=crash_at(22))
    damaged = tmp_path / "states" / "step-000020" / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    train(tiny_config(), corpus, tmp_path, device="cpu")
    assert "step-000020" in caplog.text and "damaged" in caplog.text
    assert trace(tmp_path) == trace(whole_run)


@pytest.mark.parametrize(
    ("number", "error", "code"),
    [(signal.SIGINT, Interrupted, None), (signal.SIGTERM, Terminated, 143)],
)
def test_a_signal_saves_at_the_next_step(whole_run, corpus, tmp_path, number, error, code):
    with pytest.raises(error, match="Stopped after step 13 of 40") as stopped:
        train(tiny_config(), corpus, tmp_path, device="cpu", progress=send_at(12, number))
    assert getattr(stopped.value, "code", None) == code
    assert newest_state(tmp_path / "states")[0].step == 13
    stopped_at = load_model(tmp_path, device="cpu")
    assert stopped_at.step == 13
    state = newest_state(tmp_path / "states")[0]
    assert all(p.equal(state.model[name]) for name, p in stopped_at.named_parameters())
    train(tiny_config(), corpus, tmp_path, device="cpu")
    assert trace(tmp_path) == trace(whole_run)


def test_the_second_signal_ends_at_once(corpus, tmp_path):
    process = train_in_a_child(tiny_config(), corpus, tmp_path, progress=_two_signals)
    process.start()
    process.join(60)
    assert process.exitcode == 128 + signal.SIGTERM
    assert newest_state(tmp_path / "states")[0].step == 5


def _two_signals(progress):
    if progress.step == 6:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)


def test_signal_handlers_are_given_back(corpus, tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    train(tiny_config(steps=2), corpus, tmp_path, device="cpu")
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))


def test_another_recipe_is_refused_field_by_field(whole_run, corpus):
    other = tiny_config(seed=4, muon_lr=0.5)
    with pytest.raises(ConfigError, match=r"muon_lr was 0\.03, now 0\.5; seed was 0, now 4"):
        train(other, corpus, whole_run, device="cpu")


def test_more_steps_are_allowed_and_recorded(corpus, tmp_path):
    train(tiny_config(steps=10), corpus, tmp_path, device="cpu")
    train(tiny_config(steps=14), corpus, tmp_path, device="cpu")
    assert newest_state(tmp_path / "states")[0].step == 14
    sessions = (tmp_path / "run.json").read_text()
    assert '"steps": [' in sessions
    with pytest.raises(ConfigError, match="14 steps behind it; 12"):
        train(tiny_config(steps=12), corpus, tmp_path, device="cpu")


def test_a_diverging_run_stops_and_keeps_the_last_good_state(corpus, tmp_path):
    train(tiny_config(steps=5), corpus, tmp_path, device="cpu")
    diverging = tiny_config(steps=60, muon_lr=1e4, embed_lr=1e4, head_lr=1e4, grad_clip=None)
    with pytest.raises(TrainingError, match="loss must stay finite"):
        train(diverging, corpus, tmp_path / "other", device="cpu")
    state, _ = newest_state(tmp_path / "other" / "states")
    assert state is None or all(w.isfinite().all() for w in state.model.values())
    assert newest_state(tmp_path / "states")[0].step == 5


def test_recipe_and_corpus_must_fit(corpus, tmp_path):
    with pytest.raises(ConfigError, match="model d_vocab=99"):
        train(tiny_config(d_vocab=99), corpus, tmp_path, device="cpu")


def test_accumulation_changes_nothing_but_the_last_digits(corpus, tmp_path):
    losses = []
    for accumulate in (1, 4):
        run = tmp_path / str(accumulate)
        recipe = tiny_config(accumulate=accumulate, steps=10)
        model = type(recipe.model)(**(vars(recipe.model) | {"dropout": 0.0}))
        recipe = tiny_config(accumulate=accumulate, steps=10, model=model)
        train(recipe, corpus, run, device="cpu")
        losses.append(
            [r["loss_nats_per_token"] for r in read_metrics(run / "metrics.jsonl", "train")]
        )
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_training_leaves_the_callers_random_numbers_alone(corpus, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    train(tiny_config(steps=2), corpus, tmp_path, device="cpu")
    assert torch.equal(torch.rand(1), expected)
