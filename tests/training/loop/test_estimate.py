"""The price of a run before it starts: exact where it can be, and in the right order elsewhere."""

from dataclasses import replace

import pytest

from interp.models.gpt import GPT
from interp.models.io.presets import PRESETS, get_preset
from interp.training.loop.estimate import Speed, estimate, measured_speed, n_parameters
from interp.training.recipe.config import TrainConfig

SPEED = Speed(flops=2e10, seconds_per_layer=0.002)


@pytest.mark.parametrize("name", sorted(set(PRESETS) - {"gpt2-small"}))
def test_parameters_are_counted_without_making_them(name):
    cfg = get_preset(name)
    assert n_parameters(cfg) == sum(weight.numel() for weight in GPT(cfg).parameters())


def test_a_released_model_has_the_size_that_it_is_known_for():
    assert n_parameters(get_preset("gpt2-small")) == 124_439_808


@pytest.mark.parametrize(
    "more", [{"steps": 600}, {"batch_size": 32}, {"context": 256}, {"eval_tokens": 10**6}]
)
def test_more_work_takes_longer(more):
    config = TrainConfig(model=get_preset("demo"), steps=300)
    few, many = estimate(config, SPEED), estimate(replace(config, **more), SPEED)
    assert few.seconds < many.seconds and few.parameters == many.parameters
    assert few.memory_bytes <= many.memory_bytes


def test_a_wider_model_takes_more_of_everything():
    configs = [TrainConfig(model=get_preset("demo", d_model=width)) for width in (96, 192)]
    narrow, wide = (estimate(config, SPEED) for config in configs)
    assert narrow.parameters < wide.parameters and narrow.seconds < wide.seconds
    assert narrow.memory_bytes < wide.memory_bytes


def test_this_machine_has_a_speed_that_computers_have():
    speed = measured_speed(1)
    assert 1e7 < speed.flops < 1e14 and 0 < speed.seconds_per_layer < 10
