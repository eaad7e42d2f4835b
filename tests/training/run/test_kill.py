"""Killed with SIGKILL at random moments, over and over, a run ends with the same bits."""

import os
import signal
import time
from random import Random

import pytest

from interp.runs.metrics import read_metrics
from interp.training.run.state import newest_state
from tests.training.tiny_run import tiny_config, trace, train_in_a_child

KILLS, EARLY_KILLS = 12, 3
LEASH = 20
STEPS = KILLS * LEASH
RECIPE = tiny_config(steps=STEPS, eval_every=50)


class Leash:
    """Lets a run go so far and no further, so that no machine is done before it is killed."""

    def __init__(self, last_step):
        self.last_step = last_step

    def __call__(self, model, step):
        if step >= self.last_step:
            time.sleep(60)


def _train(corpus, folder, **options):
    process = train_in_a_child(RECIPE, corpus, folder, **options)
    process.start()
    return process


def _states(folder):
    return sorted(int(path.name[5:]) for path in (folder / "states").glob("step-*"))


def _wait_for_a_state_after(step, folder, process):
    while process.is_alive() and max(_states(folder), default=0) <= step:
        time.sleep(0.002)


def _seconds_per_step(folder):
    return read_metrics(folder / "metrics.jsonl", "speed")[-1]["seconds"] / STEPS


@pytest.mark.slow
def test_killed_at_random_moments_the_weights_are_the_same_to_the_bit(corpus, tmp_path):
    whole, folder, random, steps = tmp_path / "whole", tmp_path / "killed", Random(0), [0]
    _train(corpus, whole).join()
    stretch = LEASH / 2 * _seconds_per_step(whole)
    for kill in range(KILLS):
        process = _train(corpus, folder, watch=Leash(steps[-1] + LEASH))
        if kill >= EARLY_KILLS:
            _wait_for_a_state_after(steps[-1] + random.randrange(10), folder, process)
        time.sleep(random.uniform(0, stretch if kill >= EARLY_KILLS else 0.1))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL, "it finished before it was killed"
        state, warnings = newest_state(folder / "states")
        assert not warnings
        steps.append(state.step if state else 0)
    assert steps == sorted(steps), "a state was lost"
    last = _train(corpus, folder)
    last.join()
    assert last.exitcode == 0
    assert trace(folder) == trace(whole)


class KillAt:
    """Kills the process at the nth time that a state's write reaches a moment."""

    def __init__(self, moment, nth):
        self.moment, self.left = moment, nth

    def __call__(self, reached):
        self.left -= reached == self.moment
        if reached == self.moment and self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_killed_before_inside_and_after_a_write(corpus, tmp_path):
    recipe = tiny_config()
    whole = train_in_a_child(recipe, corpus, tmp_path / "whole")
    whole.start()
    whole.join()
    for nth, moment in enumerate(["before", "model written", "written", "renamed", "pruned"]):
        process = train_in_a_child(
            recipe, corpus, tmp_path / "killed", on_write=KillAt(moment, 1 + nth % 2)
        )
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    last = train_in_a_child(recipe, corpus, tmp_path / "killed")
    last.start()
    last.join()
    assert last.exitcode == 0
    assert trace(tmp_path / "killed") == trace(tmp_path / "whole")
