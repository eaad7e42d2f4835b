"""Intervals for analyses that may be given a single example, where nothing can be resampled."""

from collections.abc import Sequence

import torch
from torch import Tensor

from interp.statistics import Interval, bootstrap_mean

UNKNOWN = Interval(value=float("nan"), low=float("nan"), high=float("nan"), n=0)


def mean_interval(
    values: Tensor | Sequence[float], groups: Sequence[int] | None = None, seed: int = 0
) -> Interval:
    """The mean with its bootstrap interval; without ends (nan) where there are under two groups."""
    values = torch.as_tensor(values, dtype=torch.float64).flatten()
    groups = list(range(len(values))) if groups is None else list(groups)
    n = len(set(groups))
    if n >= 2:
        return bootstrap_mean(values, groups, seed=seed)
    mean = float(values.nanmean()) if n else float("nan")
    return Interval(value=mean, low=float("nan"), high=float("nan"), n=n)


def plain(interval: Interval, digits: int = 2) -> str:
    """`0.93 [0.90, 0.95]`, without n; without ends where there are none."""
    if interval.low != interval.low:
        return f"{interval.value:.{digits}f}"
    return f"{interval.value:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"
