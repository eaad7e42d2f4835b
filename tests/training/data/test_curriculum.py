"""The curriculum is a pure function of the step, and refuses stages that cannot be."""

import pytest

from interp.core.errors import ConfigError
from interp.training.data.curriculum import Stage, check_stages, shares, stage_at


def test_every_step_belongs_to_one_stage_and_the_last_one_goes_on():
    stages = (Stage(steps=3), Stage(steps=2), Stage(steps=1))
    assert [stage_at(stages, step)[0] for step in range(9)] == [0, 0, 0, 1, 1, 2, 2, 2, 2]


def test_a_stage_after_an_endless_one_is_refused():
    with pytest.raises(ConfigError, match="Stage 0 has no end"):
        check_stages([Stage(), Stage(steps=2)])
    check_stages([Stage(steps=2), Stage()])
    check_stages([])


@pytest.mark.parametrize("bad", [{"steps": 0}, {"mix": {"a": -1.0}}, {"mix": {"a": 0.0}}])
def test_impossible_stages_are_refused(bad):
    with pytest.raises(ConfigError):
        Stage(**bad)


def test_shares_sum_to_one_and_an_empty_mix_goes_by_tokens():
    assert shares(Stage(), {"a": 30, "b": 10}) == {"a": 0.75, "b": 0.25}
    assert shares(Stage(mix={"b": 2.0}), {"a": 30, "b": 10}) == {"b": 1.0}


def test_an_unknown_level_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"'level-9'.*Did you mean 'level-0'"):
        shares(Stage(mix={"level-9": 1.0}), {"level-0": 1, "full": 1})
