"""Intervals and tests. The unit of chance is the story (a group of examples), never the token."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.errors import NotEnoughDataError, ShapeError

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

    def overlaps(self, other: "Interval") -> bool:
        """Whether the two share a value."""
        return self.low <= other.high and other.low <= self.high

    def above(self, other: "Interval") -> bool:
        """Whether all of this lies above all of the other: they do not overlap."""
        return self.low > other.high


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
        raise ShapeError(f"One group an example is needed: {n} examples, {len(names)} groups.")
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    if len(number) < 2:
        raise NotEnoughDataError(
            f"An interval needs two groups or more to resample; {len(number)} came. "
            "Ask for more stories."
        )
    return torch.tensor([number[name] for name in names]), len(number)


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
        seed: of the resampling.
        n_boot: resamples.
        level: of the interval.
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
    draws = _group_draws(n_groups, n_boot, seed)
    rows = max(1, chunk // max(n, 1))
    parts = [statistic(draws[i : i + rows][:, index]) for i in range(0, n_boot, rows)]
    value = float(statistic(torch.ones(1, n, dtype=torch.float64))[0])
    return _percentile(value, torch.cat(parts), n_groups, level)


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
        seed: of the resampling.
        n_boot: resamples.
        level: of the interval.
    Returns:
        Interval: nan throughout when every value is nan.
    Raises:
        NotEnoughDataError: fewer than two groups.
    """
    values = torch.as_tensor(values, dtype=torch.float64).flatten()
    index, n_groups = group_index(groups, len(values))
    real = ~values.isnan()
    sums = torch.zeros(n_groups, dtype=torch.float64).index_add_(0, index, values.nan_to_num())
    counts = torch.zeros(n_groups, dtype=torch.float64).index_add_(0, index, real.double())
    draws = _group_draws(n_groups, n_boot, seed)
    means = (draws @ sums) / (draws @ counts)
    return _percentile(float(sums.sum() / counts.sum()), means, n_groups, level)


def bootstrap_ratio(
    part: Values, whole: Values, groups: Groups | None = None, *, seed: int = 0, **options: float
) -> Interval:
    """Sum of `part` over sum of `whole` (hits over tries, nats over tokens), with its interval.

    Args:
        part: a number an example.
        whole: what it is a part of, for the same examples; 0 where an example has nothing.
        groups: the story of each example.
        seed: of the resampling.
        options: `n_boot`, `level`.
    Returns:
        Interval: nan when `whole` is 0 throughout.
    Raises:
        ShapeError: different lengths.
        NotEnoughDataError: fewer than two groups.
    Example:
        >>> bootstrap_ratio([1, 0, 2], [2, 0, 2]).value
        0.75
    """
    part, whole = (torch.as_tensor(x, dtype=torch.float64).flatten() for x in (part, whole))
    _difference(part, whole)
    return bootstrap(lambda w: (w @ part) / (w @ whole), len(part), groups, seed=seed, **options)


def rate(
    flags: Values,
    groups: Groups | None = None,
    *,
    seed: int = 0,
    n_boot: int = 1000,
    level: float = 0.95,
) -> Interval:
    """A share of true flags. When all flags agree the bootstrap would claim certainty, so then the
    exact binomial interval over groups is given instead.

    Args:
        flags: true or false an example.
        groups: the story of each example.
        seed: of the resampling.
        n_boot: resamples.
        level: of the interval.
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


def clopper_pearson(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """The exact binomial interval of a rate.

    Args:
        successes: how many of `n` independent trials came true.
        n: trials.
        level: of the interval, which holds at least this share.
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
        seed: of the resampling.
        options: `n_boot`, `level`.
    Raises:
        ShapeError: different lengths.
    """
    return bootstrap_mean(_difference(first, second), groups, seed=seed, **options)


def sign_flip_p(
    first: Values,
    second: Values,
    groups: Groups | None = None,
    *,
    seed: int = 0,
    n_permutations: int = 9999,
) -> float:
    """Two-sided p of 'first and second do not differ', flipping the sign of whole groups.

    Args:
        first: a number an example.
        second: a number for the same examples.
        groups: examples whose differences flip together.
        seed: of the permutations.
        n_permutations: the smallest p is 1 / (n_permutations + 1).
    """
    difference = _difference(first, second)
    index, n_groups = group_index(groups, len(difference))
    sums = torch.zeros(n_groups, dtype=torch.float64).index_add_(0, index, difference)
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, (n_permutations, n_groups), generator=generator).double() * 2 - 1
    return _p(sums.sum().abs(), (signs @ sums).abs())


def permutation_p(
    first: Values, second: Values, *, seed: int = 0, n_permutations: int = 9999
) -> float:
    """Two-sided p of 'both samples come from one distribution', by shuffling who belongs where.

    Args:
        first: one sample's values (one a group, when examples are clustered).
        second: the other's.
        seed: of the permutations.
        n_permutations: the smallest p is 1 / (n_permutations + 1).
    """
    first, second = (torch.as_tensor(x, dtype=torch.float64).flatten() for x in (first, second))
    pooled = torch.cat([first, second])
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(n_permutations, len(pooled), generator=generator).argsort(1)
    drawn = pooled[order]
    gaps = drawn[:, : len(first)].mean(1) - drawn[:, len(first) :].mean(1)
    return _p((first.mean() - second.mean()).abs(), gaps.abs())


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for how many were asked: the chance of any false alarm stays in bounds.

    Source:
        Holm 1979.
    Example:
        >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = highest
    return corrected


def spearman(
    x: Values, y: Values, groups: Groups | None = None, *, seed: int = 0, **options: float
) -> Interval:
    """Rank correlation (ties share their mean rank) with its cluster-bootstrap interval.

    Args:
        x: a number an example.
        y: a number for the same examples.
        groups: the story of each example.
        seed: of the resampling.
        options: `n_boot`, `level`.
    Raises:
        ShapeError: different lengths.
        NotEnoughDataError: fewer than two groups.
    Example:
        >>> spearman([1, 2, 3, 4], [1, 8, 27, 64]).value
        1.0
    """
    x, y = (torch.as_tensor(v, dtype=torch.float64).flatten() for v in (x, y))
    _difference(x, y)
    ranks_x, ranks_y = _weighted_ranks(x), _weighted_ranks(y)

    def statistic(weights: Tensor) -> Tensor:
        return _weighted_pearson(ranks_x(weights), ranks_y(weights), weights)

    return bootstrap(statistic, len(x), groups, seed=seed, **options)


def auroc(
    scores: Values,
    positive: Values,
    groups: Groups | None = None,
    *,
    seed: int = 0,
    **options: float,
) -> Interval:
    """Chance that a random positive example scores above a random negative one (ties count half).

    Args:
        scores: a number an example.
        positive: true or false an example.
        groups: the story of each example.
        seed: of the resampling.
        options: `n_boot`, `level`.
    Raises:
        NotEnoughDataError: only one of the two classes is there.
    Example:
        >>> auroc([0.1, 0.4, 0.35, 0.8], [False, False, True, True]).value
        0.75
    """
    scores = torch.as_tensor(scores, dtype=torch.float64).flatten()
    positive = torch.as_tensor(positive).bool().flatten()
    if positive.all() or not positive.any():
        raise NotEnoughDataError("AUROC needs positive and negative examples; one kind is missing.")
    _, place = scores.unique(return_inverse=True)

    def statistic(weights: Tensor) -> Tensor:
        hits = _by_value(weights * positive, place)
        misses = _by_value(weights * ~positive, place)
        below = misses.cumsum(1) - misses / 2
        return (hits * below).sum(1) / (hits.sum(1) * misses.sum(1))

    return bootstrap(statistic, len(scores), groups, seed=seed, **options)


def _group_draws(n_groups: int, n_boot: int, seed: int) -> Float[Tensor, "boot group"]:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(0, n_groups, (n_boot, n_groups), generator=generator)
    counts = torch.zeros(n_boot, n_groups, dtype=torch.float64)
    return counts.scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.float64))


def _percentile(value: float, resampled: Tensor, n: int, level: float) -> Interval:
    resampled = resampled[~resampled.isnan()]
    if not len(resampled) or value != value:
        return Interval(value=value, low=float("nan"), high=float("nan"), n=n, level=level)
    ends = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=resampled.dtype)
    low, high = torch.quantile(resampled, ends).tolist()
    return Interval(value=value, low=low, high=high, n=n, level=level)


def _difference(first: Values, second: Values) -> Float[Tensor, " example"]:
    first, second = (torch.as_tensor(x, dtype=torch.float64).flatten() for x in (first, second))
    if first.shape != second.shape:
        raise ShapeError(
            f"Pairs are needed, one of each an example: {len(first)} and {len(second)} values came."
        )
    return first - second


def _p(observed: Tensor, permuted: Tensor) -> float:
    # The slack lets permutations that only differ by rounding count as ties.
    as_large = permuted >= observed - 1e-12 * (1 + observed.abs())
    return (int(as_large.sum()) + 1) / (len(permuted) + 1)


def _by_value(weights: Tensor, place: Tensor) -> Float[Tensor, "boot value"]:
    sums = weights.new_zeros(len(weights), int(place.max()) + 1)
    return sums.index_add_(1, place, weights)


def _weighted_ranks(values: Tensor) -> Statistic:
    _, place = values.unique(return_inverse=True)

    def ranks(weights: Tensor) -> Tensor:
        at = _by_value(weights, place)
        return (at.cumsum(1) - at / 2)[:, place]

    return ranks


def _weighted_pearson(x: Tensor, y: Tensor, weights: Tensor) -> Float[Tensor, " boot"]:
    share = weights / weights.sum(1, keepdim=True)
    x = x - (share * x).sum(1, keepdim=True)
    y = y - (share * y).sum(1, keepdim=True)
    spread = ((share * x * x).sum(1) * (share * y * y).sum(1)).sqrt()
    return (share * x * y).sum(1) / spread
