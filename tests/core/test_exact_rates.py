"""Where all trials agree, the interval is the exact one of the texts that tried something."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from interp.core.statistics.intervals import (
    Interval,
    bootstrap_mean,
    bootstrap_ratio,
    pooled_rate,
    rate,
)
from interp.methods.checkpoints.measure_scores import Scores, curve_of

NAN = math.nan
TRIES = st.lists(st.integers(0, 3), min_size=2, max_size=30)
"""How often something was tried in each text."""


def exact(agreed: bool, tried: int) -> tuple[float, float, float, int]:
    """SciPy's interval of so many texts that all came true, or none of them."""
    hits = tried if agreed else 0
    ends = binomtest(hits, tried).proportion_ci(method="exact")
    return float(agreed), ends.low, ends.high, tried


def assert_is(interval: Interval, expected: tuple[float, float, float, int]) -> None:
    assert (interval.value, interval.low, interval.high) == pytest.approx(expected[:3])
    assert interval.n == expected[3]


@settings(max_examples=60, deadline=None)
@given(tries=TRIES, agreed=st.booleans(), untried=st.sampled_from([0.0, NAN]))
def test_all_trials_that_agree_have_the_exact_interval_of_the_texts_that_tried(
    tries, agreed, untried
):
    tried = sum(n > 0 for n in tries)
    flags = [value for n in tries for value in ([float(agreed)] * n or [NAN])]
    stories = [story for story, n in enumerate(tries) for _ in range(max(n, 1))]
    counts = torch.tensor([n or untried for n in tries], dtype=torch.float64)
    intervals = [rate(flags, stories), pooled_rate(counts * agreed, counts)]
    if not tried:
        assert all(each.n == 0 and math.isnan(each.value + each.low) for each in intervals)
        return
    for interval in intervals:
        assert_is(interval, exact(agreed, tried))
    if untried == 0.0 and tried > 1:
        part, whole = (counts * agreed).tolist(), counts.tolist()
        curve = curve_of("accuracy", "", [Scores(part=tuple(part), whole=tuple(whole))])
        assert curve.n == tried
        assert curve.bounds(0, is_share=True)[0].tolist() == pytest.approx(exact(agreed, tried)[:3])


@settings(max_examples=60, deadline=None)
@given(tries=TRIES, data=st.data())
def test_n_counts_the_texts_that_have_a_say(tries, data):
    hits = [data.draw(st.integers(0, n)) for n in tries]
    tried = sum(n > 0 for n in tries)
    flags = [
        value
        for of, n in zip(hits, tries, strict=True)
        for value in ([1.0] * of + [0.0] * (n - of) or [NAN])
    ]
    stories = [story for story, n in enumerate(tries) for _ in range(max(n, 1))]
    intervals = rate(flags, stories), bootstrap_mean(flags, stories), bootstrap_ratio(hits, tries)
    for interval in intervals:
        assert interval.n == tried
        if tried:
            assert interval.value == pytest.approx(sum(hits) / sum(tries))


def test_one_text_with_a_say_among_many_is_no_certainty():
    """Every resample that has it has nothing else: they agree, and would claim to know."""
    for alone in (bootstrap_mean([3.0, NAN, NAN]), bootstrap_ratio([6.0, 0, 0], [2, 0, 0])):
        assert (alone.value, alone.n) == (3.0, 1) and math.isnan(alone.low + alone.high)
    assert_is(rate([1.0] * 3 + [NAN] * 97), exact(True, 3))
    assert_is(rate([1.0, NAN]), exact(True, 1))
