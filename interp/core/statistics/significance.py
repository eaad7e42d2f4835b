"""Tests by resampling, and the correction for how many were made."""

import math
from collections.abc import Sequence
from itertools import combinations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.core.errors import NotEnoughDataError
from interp.core.statistics.intervals import (
    Groups,
    Values,
    group_draws,
    group_index,
    paired_values,
)

MOST_RESAMPLED = 4_000_000
"""Numbers held at once of the means of resamples."""


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
        seed: seed of the permutations.
        n_permutations: the smallest p is 1 / (n_permutations + 1).
    """
    first, second = paired_values(first, second)
    difference = first - second
    index, n_groups = group_index(groups, len(difference))
    # Were there no difference, first and second could be swapped within any story: its sum of
    # differences would be as likely with the other sign.
    sums = torch.zeros(n_groups, dtype=torch.float64).index_add_(0, index, difference)
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, (n_permutations, n_groups), generator=generator).double() * 2 - 1
    return _p(sums.sum().abs(), (signs @ sums).abs())


def permutation_p(
    first: Values, second: Values, *, seed: int = 0, n_permutations: int = 9999
) -> float:
    """Two-sided p of 'both samples come from one distribution', by shuffling who belongs where.

    Where there are no more arrangements than `n_permutations`, all of them are tried: p is exact.

    Args:
        first: one sample's values (one a group, when examples are clustered).
        second: the other's.
        seed: seed of the permutations.
        n_permutations: the smallest p is 1 / (n_permutations + 1).
    Raises:
        NotEnoughDataError: a sample is empty, or a value is nan.
    Example:
        >>> permutation_p([1, 2, 3], [4, 5, 6])
        0.1
    """
    first, second = (torch.as_tensor(x, dtype=torch.float64).flatten() for x in (first, second))
    pooled = _pooled(first, second)
    observed, chosen = (first.mean() - second.mean()).abs(), len(first)
    if math.comb(len(pooled), chosen) <= n_permutations:
        places = torch.tensor(list(combinations(range(len(pooled)), chosen)))
        mine = torch.zeros(len(places), len(pooled), dtype=torch.bool).scatter_(1, places, True)
        return float(_as_large(observed, _gaps(pooled, mine)).double().mean())
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(n_permutations, len(pooled), generator=generator).argsort(1)
    return _p(observed, _gaps(pooled, order < chosen))


def rank_sum_p(first: Values, second: Values, *, seed: int = 0) -> float:
    """Two-sided p of Wilcoxon's rank sum test, exact for few values, also with ties.

    Only the order counts, so a value that is known to be beyond all others may be infinite: a run
    that had not arrived when all of them ended (Gehan's test, with one end for all).

    Args:
        first: one sample's values.
        second: the other's.
        seed: seed of the permutations, where there are too many arrangements to try all.
    Raises:
        NotEnoughDataError: a sample is empty, or a value is nan.
    Source:
        Wilcoxon 1945; Gehan 1965 (values that were not reached).
    Example:
        >>> rank_sum_p([100, 104, math.inf, math.inf], [300, 301, 302, 303])
        1.0
    """
    first, second = (torch.as_tensor(x, dtype=torch.float64).flatten() for x in (first, second))
    _, place, counts = _pooled(first, second).unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - (counts - 1) / 2)[place]  # ties share their mean rank
    return permutation_p(ranks[: len(first)], ranks[len(first) :], seed=seed)


def smallest_rank_sum_p(n_first: int, n_second: int) -> float:
    """What `rank_sum_p` gives where one sample lies wholly above the other.

    It cannot be less but for ties in samples of different sizes, which may leave a single
    arrangement as extreme: [1, 2] against five runs that never arrived has p = 1 / 21.
    """
    return min(1.0, 2 / math.comb(n_first + n_second, n_first))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for how many were asked: the chance of any false alarm stays in bounds.

    Args:
        p_values: the p-values of all that was tested, in any order.
    Returns:
        The corrected ones in the same order.
    Source:
        Holm 1979.
    Example:
        >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):  # never below a smaller p's: it would be accepted before it
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = highest
    return corrected


def simultaneous_means(
    values: Float[Tensor, "row entry"], *, level: float = 0.95, n_boot: int = 10_000, seed: int = 0
) -> Float[Tensor, "entry 3"]:
    """Means over rows of many things at once; all their intervals hold the truth together.

    Of intervals at `level` a thing, one in twenty would leave out the truth by chance, so the
    largest of a table always could. These are at the level that Bonferroni's inequality asks for:
    Student's, or wider where the bootstrap of Student's t says that the values are skewed; of more
    than `n_boot` / 40 things at 95 % its largest resample stands for that level.

    Args:
        values: a number a row (story, sequence) and thing; rows with nan are left out.
        level: share of repetitions in which every interval holds its truth.
        n_boot: resamples of the rows.
        seed: seed of the resamples.
    Returns:
        Tensor: value, low and high of each thing; ends are nan under two rows.
    Source:
        Dunn 1961, "Multiple comparisons among means"; Hall 1988 (the bootstrap of Student's t).
    Example:
        >>> simultaneous_means(torch.tensor([[1.0], [2.0], [3.0]]))[0].round(decimals=2).tolist()
        [2.0, -0.48, 4.48]
    """
    from scipy.special import stdtrit

    values = values[~values.isnan().any(1)].double()
    n, mean = len(values), values.mean(0)
    if n < 2:
        return torch.stack([mean, *[torch.full_like(mean, torch.nan)] * 2], -1)
    tail = (1 - level) / 2 / values.shape[1]
    draws, error = group_draws(n, n_boot, seed), values.std(0) / math.sqrt(n)
    # Of n_boot resamples the k-th largest lies at 1 - k / (n_boot + 1) in the mean.
    most = max(1, round((n_boot + 1) * tail))
    reach = torch.full((2, values.shape[1]), float(stdtrit(n - 1, 1 - tail)), dtype=torch.float64)
    for part in torch.arange(values.shape[1]).split(max(1, MOST_RESAMPLED // n_boot)):
        t = _resampled_t(values[:, part], draws)
        ends = [(sign * t).topk(most, dim=0).values[-1] for sign in (1, -1)]
        reach[:, part] = reach[:, part].maximum(torch.stack(ends))
    return torch.stack([mean, mean - reach[0] * error, mean + reach[1] * error], -1)


def _resampled_t(
    values: Float[Tensor, "row entry"], draws: Float[Tensor, "boot row"]
) -> Float[Tensor, "boot entry"]:
    """(Resample's mean - mean) / resample's standard error; 0 where a resample has no spread."""
    n, centred = len(values), values - values.mean(0)
    shift = draws @ centred / n
    variance = (draws @ centred.square() / n - shift.square()).clamp_min(0) * n / (n - 1)
    error, least = (variance / n).sqrt(), 1e-9 * centred.abs().amax(0)
    return torch.where(error > least, shift / error.clamp_min(1e-300), 0.0)


def _pooled(first: Tensor, second: Tensor) -> Float[Tensor, " value"]:
    pooled = torch.cat([first, second])
    # Comparisons with nan are all false: what is not known would pass for a difference.
    if not (len(first) and len(second)) or pooled.isnan().any():
        raise NotEnoughDataError(
            "Two samples are compared by one value or more each, and none may be nan; got "
            f"{len(first)} and {len(second)}, {int(pooled.isnan().sum())} of them nan."
        )
    return pooled


def _gaps(pooled: Tensor, mine: Bool[Tensor, "arrangement value"]) -> Tensor:
    """The distance of the two means in each arrangement."""
    first = (mine * pooled).sum(1) / mine.sum(1)
    return (first - (~mine * pooled).sum(1) / (~mine).sum(1)).abs()


def _as_large(observed: Tensor, permuted: Tensor) -> Bool[Tensor, " arrangement"]:
    # The slack lets permutations that only differ by rounding count as ties.
    return permuted >= observed - 1e-12 * (1 + observed.abs())


def _p(observed: Tensor, permuted: Tensor) -> float:
    # The data are one of the arrangements, hence + 1 above and below: p is never 0.
    return (int(_as_large(observed, permuted).sum()) + 1) / (len(permuted) + 1)
