"""Two gloo ranks: the same run as one process; a lost rank ends the job, which then resumes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from interp.runs.metrics import read_metrics
from interp.training.loop.pretrain import train
from tests.training.tiny_run import tiny_config, trace

RANK = Path(__file__).with_name("rank.py")
STEPS = 40
pytestmark = pytest.mark.slow


def _start(corpus, run, steps=STEPS, engine="ddp"):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launcher += ["--nproc-per-node", "2", "--max-restarts", "0"]
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(RANK.parents[2]), str(RANK.parent)]),
    }
    return subprocess.Popen(
        [*launcher, str(RANK), str(corpus), str(run), str(steps), engine],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _finish(job, seconds=300):
    try:
        output, _ = job.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        job.kill()
        pytest.fail(f"the job still ran after {seconds} s")
    return job.returncode, output


def _losses(run, kind):
    records = read_metrics(run / "metrics.jsonl", kind)
    return [record["loss_nats_per_token"] for record in records]


@pytest.fixture(scope="module")
def two_ranks(corpus, tmp_path_factory):
    run = tmp_path_factory.mktemp("two") / "run"
    code, output = _finish(_start(corpus, run))
    assert code == 0, output
    return run


@pytest.fixture(scope="module")
def one_process(corpus, tmp_path_factory):
    run = tmp_path_factory.mktemp("one") / "run"
    train(tiny_config(steps=STEPS, dropout=0.0), corpus, run, device="cpu")
    return run


def test_two_ranks_have_the_loss_curve_of_one_process(two_ranks, one_process):
    """Within 1e-3 nats: the ranks add up in another order, and training spreads the rounding."""
    for kind in ("train", "eval"):
        assert _losses(two_ranks, kind) == pytest.approx(_losses(one_process, kind), abs=1e-3)


def test_sharded_weights_give_the_same_curve(corpus, tmp_path, one_process):
    code, output = _finish(_start(corpus, tmp_path / "run", engine="fsdp"))
    assert code == 0, output
    for kind in ("train", "eval"):
        losses = _losses(tmp_path / "run", kind)
        assert losses == pytest.approx(_losses(one_process, kind), abs=1e-3)


def _wait_for_a_state(run, job):
    while job.poll() is None and not list((run / "states").glob("step-*")):
        time.sleep(0.01)
    assert job.poll() is None, "it finished before it could be stopped"


def test_sigterm_to_the_launcher_saves_on_all_ranks(two_ranks, corpus, tmp_path):
    run = tmp_path / "run"
    job = _start(corpus, run)
    _wait_for_a_state(run, job)
    job.send_signal(signal.SIGTERM)
    code, output = _finish(job, seconds=60)
    assert code != 0, output
    before = max(int(path.name[5:]) for path in (run / "states").glob("step-*"))
    assert before % 3 == 0 or before % 5 == 0, "the ranks agree where the loss is read"
    code, output = _finish(_start(corpus, run))
    assert code == 0, output
    assert trace(run) == trace(two_ranks)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_lost_rank_ends_the_job_and_the_same_command_goes_on(two_ranks, corpus, tmp_path, victim):
    run = tmp_path / "run"
    job = _start(corpus, run)
    _wait_for_a_state(run, job)
    time.sleep(Random(victim).uniform(0, 0.2))
    assert job.poll() is None, "it finished before it could be killed"
    os.kill(int((run / f"rank-{victim}.pid").read_text()), signal.SIGKILL)
    began = time.perf_counter()
    code, output = _finish(job, seconds=60)
    assert code != 0 and time.perf_counter() - began < 30
    assert "lost another rank" in output or "Signal 9" in output
    code, output = _finish(_start(corpus, run))
    assert code == 0, output
    assert trace(run) == trace(two_ranks)
