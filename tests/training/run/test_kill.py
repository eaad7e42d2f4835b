"""Killed with SIGKILL, over and over, at random moments and inside writes, a run ends the same."""

import os
import signal

import pytest

from benchmarks.kills import WRITE, Killer
from tests.training.tiny_run import tiny_config, trace, train_in_a_child

KILLS = 10


@pytest.mark.slow
def test_killed_at_any_moment_every_file_is_the_same_to_the_bit_and_none_is_left_over(tmp_path):
    killer, kills, runs = Killer(tmp_path, seed=3), [], 0
    assert {"model.safetensors", "checkpoints/step-000014", "metrics.jsonl"} <= set(killer.expected)
    while len(kills) < KILLS:
        more, otherwise = killer.disturbed_run(f"run-{runs}")
        assert otherwise == []
        kills, runs = kills + more, runs + 1
    assert any(kill.aim == WRITE and kill.place for kill in kills), "no kill fell into a write"


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
