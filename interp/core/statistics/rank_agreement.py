"""Rank correlation within groups: of models, resampled with the stories; and over whole runs."""

import math
from collections.abc import Sequence

import torch
from einops import einsum, rearrange
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.statistics.intervals import (
    UNKNOWN,
    Interval,
    group_draws,
    percentile_interval,
)
from interp.core.statistics.over_seeds import mean_over_seeds

N_BOOT = 1000
MOST_PAIRS = 8_000_000
FEWEST, FEWEST_FOR_ENDS = 3, 8
"""Three models in perfect order would seem certain: chance alone orders them so one time in six.
Intervals of five unrelated models left 0 out in 14 % of simulations, of six in 9, of eight in 5."""
FEWEST_RUNS, FEWEST_POINTS = 3, 5
"""Of an interval over runs: with fewer points each their correlations take a few values only, and
the interval left 0 out in up to 15 % of simulated runs of nothing, in place of 5."""


def bootstrap_weights(n: int, n_boot: int, seed: int) -> Float[Tensor, "draw unit"]:
    """How often each unit counts: row 0 is the data as they are, then a row a resample.

    Args:
        n: units (stories, models).
        n_boot: resamples.
        seed: seed of the draws.
    """
    as_they_are = torch.ones(1, n, dtype=torch.float64)
    return torch.cat([as_they_are, group_draws(n, n_boot, seed)])


def rank_agreement(
    x: Float[Tensor, "draw point"],
    y: Float[Tensor, "draw point"],
    strata: Sequence[int],
    units: Sequence[int],
    *,
    seed: int = 0,
) -> Interval:
    """Spearman's correlation of x and y among points of the same stratum, and its interval.

    A rank is counted within the stratum, as a share of its size, so that what all of a stratum
    share (a run; a step) has no say. With one stratum it is Spearman's own.

    Args:
        x: one quantity of each point; row 0 of the data as they are, then one row a resample of
            the stories (`bootstrap_weights`).
        y: the other quantity, of the same points and resamples.
        strata: a number a point; ranks are taken only among points of one stratum.
        units: a number a point, for what is drawn anew in each row: the point itself, or the model
            it belongs to.
        seed: seed of the draws of units.
    Returns:
        Interval: `n` counts units; without ends for fewer than eight, unknown for fewer than three.
    """
    names = torch.tensor(list(dict.fromkeys(units)))
    of_unit = (torch.tensor(units)[:, None] == names).double().argmax(1)
    if len(names) < FEWEST:
        return UNKNOWN
    weights = bootstrap_weights(len(names), len(x) - 1, seed)[:, of_unit]
    same = torch.tensor(strata)[:, None] == torch.tensor(strata)
    rows = max(1, MOST_PAIRS // same.numel())
    parts = zip(*(each.split(rows) for each in (x, y, weights)), strict=True)
    values = torch.cat([_correlation(*part, same) for part in parts])
    if len(names) < FEWEST_FOR_ENDS:
        return Interval.without_ends(float(values[0]), len(names))
    return percentile_interval(float(values[0]), values[1:], len(names))


def agreement_over_runs(
    x: Float[Tensor, " point"], y: Float[Tensor, " point"], runs: Sequence[int]
) -> Interval:
    """Mean over runs of Spearman's correlation of x and y within the run; the unit is the run.

    Points of one run follow one another, so they are not independent: two unrelated random walks
    of 12 points correlate so strongly that points drawn anew one by one leave 0 out of a 95 %
    interval in 3 of 10 cases. Between runs they are independent, so the interval is Student's over
    runs, of Fisher's z of each one's correlation.

    Args:
        x: one quantity of each point (checkpoint).
        y: the other quantity, of the same points.
        runs: each point's run; runs of fewer than three points are left out.
    Returns:
        Interval: `n` counts runs; without ends for fewer than three runs, or where one has fewer
            than five points.
    Source:
        Yule 1926, "Why do we sometimes get nonsense-correlations between time-series?"; Fisher
        1921 (z).
    Example:
        >>> x = torch.arange(10.0)
        >>> str(agreement_over_runs(x, -x, [0] * 10))
        '-1.00 [nan, nan], n = 1'
    """
    owners = torch.tensor(list(runs))
    correlations, sizes = [], []
    for run in dict.fromkeys(runs):
        mine = owners == run
        if (size := int(mine.sum())) < FEWEST:
            continue
        once, all_of_it = torch.ones(1, size, dtype=torch.float64), torch.ones(size, size)
        parts = (values[mine].double()[None] for values in (x, y))
        correlation = float(_correlation(*parts, once, all_of_it)[0])
        if not math.isnan(correlation):
            correlations.append(correlation)
            sizes.append(size)
    n = len(correlations)
    if not n:
        return UNKNOWN
    value = sum(correlations) / n
    if n < FEWEST_RUNS or min(sizes) < FEWEST_POINTS:
        return Interval.without_ends(value, n)
    # z of a perfect order would be infinite: 1 - 1 / (2 * points) stands for all that are nearer.
    nearest = [1 - 0.5 / size for size in sizes]
    z = [
        math.atanh(max(-most, min(most, correlation)))
        for correlation, most in zip(correlations, nearest, strict=True)
    ]
    ends = mean_over_seeds(z)
    low, high = math.tanh(ends.low), math.tanh(ends.high)
    return Interval(value=value, low=min(low, value), high=max(high, value), n=n)


def _correlation(x: Tensor, y: Tensor, weights: Tensor, same: Tensor) -> Float[Tensor, " draw"]:
    x, y = (_centred_ranks(each, weights, same) for each in (x, y))
    spread = ((weights * x * x).sum(1) * (weights * y * y).sum(1)).sqrt()
    return (weights * x * y).sum(1) / spread


def _centred_ranks(
    values: Float[Tensor, "draw point"], weights: Tensor, same: Int[Tensor, "point point"]
) -> Float[Tensor, "draw point"]:
    """How many of the stratum lie below, less how many above, as a share of the stratum."""
    # A mean rank is a constant plus half of (points below - points above). This difference is
    # already centred: summed over the stratum with its weights it is 0, pair by pair.
    differences = rearrange(values, "draw point -> draw point 1") - rearrange(
        values, "draw other -> draw 1 other"
    )
    signs = differences.sign() * same
    ranks = einsum(signs, weights, "draw point other, draw other -> draw point")
    return ranks / (weights @ same.double()).clamp_min(1e-12)
