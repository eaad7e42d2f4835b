"""Means over runs of several seeds, of which there are few: Student's interval, not a bootstrap."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.statistics.intervals import Interval

LEVEL = 0.95


def mean_over_seeds(values: Tensor | Sequence[float]) -> Interval:
    """The mean of one number a run with Student's interval; without ends for a single run.

    Args:
        values: a number a run; nan where a run has none, and then left out.

    Example:
        >>> print(mean_over_seeds([1.0, 2.0, 3.0]))
        2.00 [-0.48, 4.48], n = 3
    """
    numbers = _without_nan(values)
    n = len(numbers)
    if n < 2:
        return Interval.without_ends(float(numbers.mean()) if n else math.nan, n)
    return _around(float(numbers.mean()), float(numbers.var()) / n, n - 1, n)


def difference_over_seeds(
    first: Tensor | Sequence[float], second: Tensor | Sequence[float]
) -> Interval:
    """Mean of the first less mean of the second, with Welch's interval; `n` counts both.

    Args:
        first: a number a run.
        second: a number a run of the other group; variances need not be equal.
    Source:
        Welch 1947, "The generalization of 'Student's' problem".

    Example:
        >>> difference_over_seeds([1.0, 1.1, 1.2], [3.0, 3.1, 3.2]).high < 0
        True
    """
    groups = [_without_nan(first), _without_nan(second)]
    n = sum(map(len, groups))
    if min(map(len, groups)) < 1:
        return Interval.without_ends(math.nan, n)
    value = float(groups[0].mean() - groups[1].mean())
    if min(map(len, groups)) < 2:
        return Interval.without_ends(value, n)
    # Welch-Satterthwaite: the variance of the difference is the sum of the means' variances, and
    # behaves like one estimated with so many degrees of freedom. Two groups without any spread
    # leave 0/0, and then Student's n - 2.
    parts = [float(group.var()) / len(group) for group in groups]
    total = sum(parts)
    spread = sum(part**2 / (len(group) - 1) for part, group in zip(parts, groups, strict=True))
    return _around(value, total, total**2 / spread if spread else float(n - 2), n)


def _around(value: float, variance: float, freedom: float, n: int) -> Interval:
    from scipy.special import stdtrit

    reach = float(stdtrit(freedom, (1 + LEVEL) / 2)) * math.sqrt(variance)
    return Interval(value=value, low=value - reach, high=value + reach, n=n, level=LEVEL)


def _without_nan(values: Tensor | Sequence[float]) -> Float[Tensor, " run"]:
    values = torch.as_tensor(values, dtype=torch.float64).flatten()
    return values[~values.isnan()]
