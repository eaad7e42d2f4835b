"""Tests by resampling, and the correction for how many were made."""

import math
from collections.abc import Sequence
from itertools import combinations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.core.statistics.intervals import Groups, Values, group_index, paired_values


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
    Example:
        >>> permutation_p([1, 2, 3], [4, 5, 6])
        0.1
    """
    first, second = (torch.as_tensor(x, dtype=torch.float64).flatten() for x in (first, second))
    pooled = torch.cat([first, second])
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
    Source:
        Wilcoxon 1945; Gehan 1965 (values that were not reached).
    Example:
        >>> rank_sum_p([100, 104, math.inf, math.inf], [300, 301, 302, 303])
        1.0
    """
    first, second = (torch.as_tensor(x, dtype=torch.float64).flatten() for x in (first, second))
    _, place, counts = torch.cat([first, second]).unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - (counts - 1) / 2)[place]  # ties share their mean rank
    return permutation_p(ranks[: len(first)], ranks[len(first) :], seed=seed)


def smallest_rank_sum_p(n_first: int, n_second: int) -> float:
    """What `rank_sum_p` gives where one sample lies wholly above the other: it cannot be less."""
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
    values: Float[Tensor, "row entry"], level: float = 0.95
) -> Float[Tensor, "entry 3"]:
    """Means over rows of many things at once; all their intervals hold the truth together.

    Student's intervals at the level that Bonferroni's inequality asks for: of `level` a thing, one
    in twenty of them would leave out the truth by chance, so the largest of a table always could.

    Args:
        values: a number a row (story, sequence) and thing; nan left out.
        level: share of repetitions in which every interval holds its truth.
    Returns:
        Tensor: value, low and high of each thing; ends are nan under two rows.
    Source:
        Dunn 1961, "Multiple comparisons among means".
    Example:
        >>> simultaneous_means(torch.tensor([[1.0], [2.0], [3.0]]))[0].round(decimals=2).tolist()
        [2.0, -0.48, 4.48]
    """
    from scipy.special import stdtrit

    values = values.double()
    n, mean = (~values.isnan()).sum(0), values.nanmean(0)
    squares = (values - mean).square().nansum(0)
    freedom = (n - 1).double().masked_fill(n < 2, torch.nan)
    tail = 1 - (1 - level) / 2 / max(1, values.shape[1])
    reach = torch.as_tensor(stdtrit(freedom.numpy(), tail)) * (squares / freedom / n).sqrt()
    return torch.stack([mean, mean - reach, mean + reach], -1)


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
