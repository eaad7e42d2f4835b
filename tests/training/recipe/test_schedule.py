"""Schedules are pure functions of the step with the ends they promise."""

import itertools

import pytest

from interp.training.recipe.schedule import is_checkpoint_step, learning_rate_scale, momentum_at

OPTIONS = {"steps": 100, "warmup_steps": 5, "final_fraction": 0.02}


@pytest.mark.parametrize("decay", ["linear", "cosine"])
def test_it_rises_for_the_warm_up_and_then_only_falls_to_the_final_fraction(decay):
    scales = [learning_rate_scale(step, decay=decay, **OPTIONS) for step in range(101)]
    assert scales[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert all(a >= b for a, b in itertools.pairwise(scales[4:]))
    assert scales[100] == pytest.approx(0.02)
    assert min(scales) > 0


def test_constant_stays():
    assert {learning_rate_scale(s, decay="constant", **OPTIONS) for s in range(4, 200)} == {1.0}


def test_no_warm_up_starts_at_the_top():
    assert learning_rate_scale(0, decay="linear", **(OPTIONS | {"warmup_steps": 0})) == 1.0


def test_cosine_is_half_way_down_in_the_middle():
    options = OPTIONS | {"warmup_steps": 0, "final_fraction": 0.0}
    assert learning_rate_scale(50, decay="cosine", **options) == pytest.approx(0.5)


def test_momentum_without_warm_up_is_the_final_one():
    assert momentum_at(0, start=0.1, end=0.9, warmup_steps=0) == 0.9


def test_checkpoints_are_log_spaced_and_every_n_and_last():
    steps = [s for s in range(1001) if is_checkpoint_step(s, steps=1000, every=300)]
    assert steps == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 512, 600, 900, 1000]
    assert not is_checkpoint_step(300, steps=1000, every=0)
