"""Intervals and tests. The unit of chance is the story (a group of examples), never the token."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.core.errors import NotEnoughDataError, ShapeError

Statistic = Callable[[Tensor], Tensor]
Values = Tensor | Sequence[float] | Sequence[bool]
Groups = Tensor | Sequence


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate and how far chance alone may have moved it.

    Attributes:
        value: the estimate on all the data.
        low: lower end.
        high: upper end.
        n: independent units (stories, prompts), not tokens.
        level: share of repetitions in which such an interval holds the truth.

    Example:
        >>> print(Interval(value=0.9, low=0.85, high=0.94, n=200))
        0.90 [0.85, 0.94], n = 200
    """

    value: float
    low: float
    high: float
    n: int
    level: float = 0.95

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}], n = {self.n}"

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def above(self, other: "Interval") -> bool:
        """Whether all of this lies above all of the other: they do not overlap."""
        return self.low > other.high

    @classmethod
    def of(cls, bounds: Tensor, n: int) -> "Interval":
        """From a tensor's axis `bound`: value, low, high."""
        value, low, high = bounds.tolist()
        return cls(value=value, low=low, high=high, n=n)

    @classmethod
    def without_ends(cls, value: float, n: int, level: float = 0.95) -> "Interval":
        """An estimate whose spread is unknown: its ends are nan."""
        return cls(value=value, low=math.nan, high=math.nan, n=n, level=level)


UNKNOWN = Interval.without_ends(math.nan, 0)
"""For what could not be measured at all."""


def plain(interval: Interval, digits: int = 2, *, signed: bool = False) -> str:
    """The interval in words without n: `0.93 [0.90, 0.95]`; the value alone without ends.

    Args:
        interval: what is written.
        digits: after the point.
        signed: write + too, as of a difference.
    Example:
        >>> plain(Interval(value=0.9, low=0.85, high=0.94, n=200))
        '0.90 [0.85, 0.94]'
    """
    form = f"{'+' if signed else ''}.{digits}f"
    if interval.low != interval.low:
        return f"{interval.value:{form}}"
    return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}]"


def bootstrap(
    statistic: Statistic,
    n: int,
    groups: Groups | None = None,
    *,
    seed: int = 0,
    n_boot: int = 1000,
    level: float = 0.95,
    chunk: int = 4_000_000,
) -> Interval:
    """Percentile interval of any statistic; whole groups are drawn with replacement.

    Args:
        statistic: weights "boot example" (how often each example was drawn) to values "boot".
            Values that are nan (a resample without any positive, say) are left out.
        n: examples.
        groups: the story of each example; None: each example stands alone.
        seed: seed of the resampling.
        n_boot: resamples.
        level: level of the interval.
        chunk: most weights held at once.
    Returns:
        Interval: its `n` counts groups.
    Raises:
        NotEnoughDataError: fewer than two groups.
    Source:
        Field & Welsh 2007, "Bootstrapping clustered data" (the cluster bootstrap).
    Example:
        >>> x = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
        >>> bootstrap(lambda w: w @ x / w.sum(1), 4).value
        2.5
    """
    index, n_groups = group_index(groups, n)
    draws = group_draws(n_groups, n_boot, seed)
    rows = max(1, chunk // max(n, 1))
    parts = [statistic(draws[i : i + rows][:, index]) for i in range(0, n_boot, rows)]
    value = float(statistic(torch.ones(1, n, dtype=torch.float64))[0])
    return percentile_interval(value, torch.cat(parts), n_groups, level)


def bootstrap_mean(
    values: Values,
    groups: Groups | None = None,
    *,
    seed: int = 0,
    n_boot: int = 1000,
    level: float = 0.95,
) -> Interval:
    """The mean of `values` (nan left out) with its cluster-bootstrap interval.

    Args:
        values: a number an example.
        groups: the story of each example.
        seed: seed of the resampling.
        n_boot: resamples.
        level: level of the interval.
    Returns:
        Interval: its `n` counts the groups that have a value; nan throughout without any, without
        ends where there is one.
    Raises:
        NotEnoughDataError: fewer than two groups.
    """
    values = torch.as_tensor(values, dtype=torch.float64).flatten()
    index, n_groups = group_index(groups, len(values))
    real = ~values.isnan()
    sums = torch.zeros(n_groups, dtype=torch.float64).index_add_(0, index, values.nan_to_num())
    counts = torch.zeros(n_groups, dtype=torch.float64).index_add_(0, index, real.double())
    draws = group_draws(n_groups, n_boot, seed)
    means = (draws @ sums) / (draws @ counts)
    interval = percentile_interval(float(sums.sum() / counts.sum()), means, n_groups, level)
    return _over(counts > 0, interval)


def mean_interval(
    values: Values, groups: Groups | None = None, seed: int = 0, **options: float
) -> Interval:
    """As `bootstrap_mean`, but one story (or none) still has a mean: then it comes without ends.

    Args:
        values: a number an example.
        groups: the story of each example.
        seed: seed of the resampling.
        options: `n_boot`, `level`.
    Returns:
        Interval: its ends are nan with fewer than two groups.
    Example:
        >>> mean_interval([3.0]).value
        3.0
    """
    try:
        return bootstrap_mean(values, groups, seed=seed, **options)
    except NotEnoughDataError:
        values = torch.as_tensor(values, dtype=torch.float64).flatten()
        return Interval.without_ends(float(values.nanmean()), int((~values.isnan()).any()))


def bootstrap_ratio(
    part: Values, whole: Values, groups: Groups | None = None, *, seed: int = 0, **options: float
) -> Interval:
    """Sum of `part` over sum of `whole` (hits over tries, nats over tokens), with its interval.

    Args:
        part: a number an example.
        whole: what it is a part of, for the same examples; 0 where an example has nothing.
        groups: the story of each example.
        seed: seed of the resampling.
        options: `n_boot`, `level`.
    Returns:
        Interval: its `n` counts the groups that have something; nan when `whole` is 0 throughout,
        without ends where one group has all of it.
    Raises:
        ShapeError: different lengths.
        NotEnoughDataError: fewer than two groups.
    Example:
        >>> bootstrap_ratio([1, 0, 2], [2, 0, 2]).value
        0.75
    """
    part, whole = paired_values(part, whole)
    ratio = bootstrap(lambda w: (w @ part) / (w @ whole), len(part), groups, seed=seed, **options)
    index, n_groups = group_index(groups, len(part))
    some = ((part != 0) | (whole != 0)).double()
    return _over(some.new_zeros(n_groups).index_add_(0, index, some) > 0, ratio)


def rate(
    flags: Values,
    groups: Groups | None = None,
    *,
    seed: int = 0,
    n_boot: int = 1000,
    level: float = 0.95,
) -> Interval:
    """A share of true flags. When all flags agree the bootstrap would claim certainty, so then the
    exact binomial interval over the groups that have a flag is given instead.

    Args:
        flags: true or false an example; nan = not known, and left out.
        groups: the story of each example.
        seed: seed of the resampling.
        n_boot: resamples.
        level: level of the interval.
    Returns:
        Interval: inside [0, 1].
    Raises:
        NotEnoughDataError: fewer than two groups.
    Example:
        >>> print(rate([True] * 50))
        1.00 [0.93, 1.00], n = 50
    """
    interval = bootstrap_mean(flags, groups, seed=seed, n_boot=n_boot, level=level)
    if interval.value in (0.0, 1.0):
        return clopper_pearson(round(interval.value * interval.n), interval.n, level=level)
    return interval


def pooled_rate(hits: Values, tries: Values, *, seed: int = 0) -> Interval:
    """All hits over all tries, of groups that each have some tries or none.

    Groups without tries are left out. Where all tries agree the exact binomial interval over groups
    is given, as in `rate`.

    Args:
        hits: how many hits each group has.
        tries: how many tries each group has; 0 or nan = none.
        seed: seed of the resampling.
    Returns:
        Interval: inside [0, 1]; nan when there is no try, without ends for a single group whose
        tries do not agree.
    Example:
        >>> print(pooled_rate([2, 0, 2], [2, 0, 2]))
        1.00 [0.16, 1.00], n = 2
    """
    hits, tries = paired_values(hits, tries)
    hits, tries = hits[tries > 0], tries[tries > 0]
    n, value = len(tries), float(hits.sum() / tries.sum())
    if value in (0.0, 1.0):
        return clopper_pearson(n * int(value), n)
    if n < 2:
        return Interval.without_ends(value, n)
    return bootstrap_ratio(hits, tries, seed=seed)


def clopper_pearson(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """The exact binomial interval of a rate.

    Args:
        successes: how many of `n` independent trials came true.
        n: trials.
        level: level of the interval, which holds at least this share.
    Raises:
        NotEnoughDataError: no trials, or more successes than trials.
    Source:
        Clopper & Pearson 1934.
    Example:
        >>> print(clopper_pearson(0, 10))
        0.00 [0.00, 0.31], n = 10
    """
    from scipy.special import betaincinv

    if n < 1 or not 0 <= successes <= n:
        raise NotEnoughDataError(f"A rate needs 0 <= successes <= n, n >= 1; got {successes}/{n}.")
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, 1 - tail))
    return Interval(value=successes / n, low=low, high=high, n=n, level=level)


def paired_difference(
    first: Values, second: Values, groups: Groups | None = None, *, seed: int = 0, **options: float
) -> Interval:
    """Mean of first - second over the same examples, with its cluster-bootstrap interval.

    Args:
        first: a number an example.
        second: a number for the same examples, in the same order.
        groups: the story of each example.
        seed: seed of the resampling.
        options: `n_boot`, `level`.
    Raises:
        ShapeError: different lengths.
    """
    first, second = paired_values(first, second)
    return bootstrap_mean(first - second, groups, seed=seed, **options)


def group_index(groups: Groups | None, n: int) -> tuple[Int[Tensor, " example"], int]:
    """Group numbers 0, 1, … in order of first appearance, and how many there are.

    Args:
        groups: a name or number an example; None makes each example its own group.
        n: examples.
    Raises:
        ShapeError: not one group an example.
        NotEnoughDataError: fewer than two groups, so nothing can be resampled.
    """
    if groups is None:
        groups = range(n)
    names = groups.tolist() if isinstance(groups, Tensor) else list(groups)
    if len(names) != n:
        raise ShapeError(
            f"Each example needs one group; got {n} examples, {len(names)} groups. Give as many."
        )
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    if len(number) < 2:
        raise NotEnoughDataError(
            f"An interval needs two groups or more to resample; got {len(number)}. "
            "Ask for more stories."
        )
    return torch.tensor([number[name] for name in names]), len(number)


def group_draws(n_groups: int, n_boot: int, seed: int) -> Float[Tensor, "boot group"]:
    """How often each group is drawn in each resample; every row sums to the number of groups.

    Weighting sums by these counts is the same as copying the drawn groups, and one matrix product
    does it for all resamples.

    Args:
        n_groups: how many there are, and are drawn each time, with replacement.
        n_boot: resamples.
        seed: seed of the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    picks = torch.randint(0, n_groups, (n_boot, n_groups), generator=generator)
    counts = torch.zeros(n_boot, n_groups, dtype=torch.float64)
    return counts.scatter_add_(1, picks, torch.ones_like(picks, dtype=torch.float64))


def _over(counted: Bool[Tensor, " group"], interval: Interval) -> Interval:
    """The interval with the groups as its n that have something to say."""
    n = int(counted.sum())
    # Resamples that hold a lone group agree, which says nothing of where another one would lie.
    if n < 2:
        return Interval.without_ends(interval.value, n, interval.level)
    return replace(interval, n=n)


def percentile_interval(value: float, resampled: Tensor, n: int, level: float = 0.95) -> Interval:
    """The interval that holds the middle share of the resampled values; nan among them is left out.

    Args:
        value: the estimate on all the data.
        resampled: the estimate on each resample.
        n: independent units.
        level: level of the interval.
    """
    resampled = resampled[~resampled.isnan()]
    if not len(resampled) or value != value:
        return Interval.without_ends(value, n, level)
    ends = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=resampled.dtype)
    low, high = torch.quantile(resampled, ends).tolist()
    return Interval(value=value, low=low, high=high, n=n, level=level)


def paired_values(
    first: Values, second: Values
) -> tuple[Float[Tensor, " example"], Float[Tensor, " example"]]:
    """Both in double precision, one number an example each.

    Raises:
        ShapeError: different lengths.
    """
    first, second = (torch.as_tensor(x, dtype=torch.float64).flatten() for x in (first, second))
    if first.shape != second.shape:
        raise ShapeError(
            f"Pairs need one number of each an example; got {len(first)} and {len(second)}. Give "
            "both for the same examples."
        )
    return first, second
