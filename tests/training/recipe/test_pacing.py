"""A pacing is a pure function of the share of the run, and its controls draw the same levels."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.core.errors import ConfigError
from interp.training.data.curriculum import check_stages, shares, stage_at
from interp.training.recipe.pacing import ORDERS, PACINGS, paced, pacing_by_name

SHARES = [i / 50 for i in range(51)]
every_pacing = pytest.mark.parametrize("name", list(PACINGS))


def hardness(mix: list[float]) -> float:
    return sum(level * share for level, share in enumerate(mix))


@every_pacing
@pytest.mark.parametrize("n", [2, 3, 5, 9])
def test_shares_sum_to_one_and_lessons_only_grow_harder(name, n):
    mixes = [PACINGS[name](share, n) for share in SHARES]
    assert all(len(mix) == n and min(mix) >= 0 for mix in mixes)
    assert [sum(mix) for mix in mixes] == pytest.approx([1.0] * len(mixes))
    means = [hardness(mix) for mix in mixes]
    assert all(later >= before - 1e-12 for before, later in pairwise(means))
    assert mixes[0] == pytest.approx([1.0] + [0.0] * (n - 1)), "it begins with the easiest alone"


def test_where_each_pacing_ends():
    assert PACINGS["step"](1.0, 3) == PACINGS["overlapping"](1.0, 3) == [0, 0, 1]
    assert PACINGS["linear"](1.0, 4) == PACINGS["root"](1.0, 4) == [0.25] * 4
    assert PACINGS["root"](0.25, 4)[1] > PACINGS["linear"](0.25, 4)[1], "the root is ahead"


def rows_of_levels(stages, steps: int, levels: list[str]) -> dict[str, float]:
    """Rows of each level that the stages draw, in batches."""
    total = dict.fromkeys(levels, 0.0)
    for step in range(steps):
        mix = shares(stage_at(stages, step)[1], dict.fromkeys(levels, 1))
        for level, share in mix.items():
            total[level] += share
    return total


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(list(PACINGS)),
    n=st.integers(2, 7),
    steps=st.integers(20, 300),
    last=st.sampled_from([0.0, 0.1, 0.25, 0.5]),
)
def test_every_order_draws_every_level_equally_often(name, n, steps, last):
    levels = [f"level-{i}" for i in range(n)]
    orders = {o: paced(levels, steps, pacing=name, order=o, last=last) for o in ORDERS}
    for stages in orders.values():
        check_stages(stages)
        assert sum(stage.steps for stage in stages) == steps
    totals = {order: rows_of_levels(stages, steps, levels) for order, stages in orders.items()}
    for order in ORDERS:
        assert totals[order] == pytest.approx(totals["curriculum"]), order
    if last:
        assert {stages[-1].mix[levels[-1]] for stages in orders.values()} == {1.0}


@pytest.mark.parametrize("name", ["step", "overlapping"])
@pytest.mark.parametrize("n", [2, 4, 5])
def test_where_levels_leave_again_each_gets_as_much_as_the_others(name, n):
    levels = [f"level-{i}" for i in range(n)]
    total = rows_of_levels(paced(levels, 40 * n, pacing=name), 40 * n, levels)
    assert list(total.values()) == pytest.approx([40.0] * n, rel=0.02)


def test_anti_runs_backwards_and_shuffled_never_changes():
    forth = paced(["a", "b", "c"], 90, pacing="overlapping")
    back = paced(["a", "b", "c"], 90, pacing="overlapping", order="anti")
    assert [s.mix for s in back] == [s.mix for s in forth][::-1]
    assert back[0].mix["c"] > 0.9 > 0.1 > back[-1].mix["c"]
    (only,) = paced(["a", "b", "c"], 90, pacing="overlapping", order="shuffled")
    assert only.steps == 90 and sum(only.mix.values()) == pytest.approx(1.0)


def test_names_of_the_command_line():
    assert pacing_by_name("root") == ("root", "curriculum")
    assert pacing_by_name("shuffled-linear") == ("linear", "shuffled")
    with pytest.raises(ConfigError, match="Did you mean 'linear'"):
        pacing_by_name("linaer")


@pytest.mark.parametrize(
    ("levels", "options", "what"),
    [
        (["a"], {}, "two levels or more"),
        (["a", "a"], {}, "each once"),
        (["a", "b"], {"pacing": "stap"}, "Did you mean 'step'"),
        (["a", "b"], {"order": "reverse"}, "curriculum, anti, shuffled"),
        (["a", "b"], {"last": 1.0}, "below 1"),
    ],
)
def test_what_cannot_be_paced_is_refused(levels, options, what):
    with pytest.raises(ConfigError, match=what):
        paced(levels, 40, **options)
