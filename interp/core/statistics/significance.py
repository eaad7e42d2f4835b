"""Tests by resampling, and the correction for how many were made."""

from collections.abc import Sequence

import torch
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

    Args:
        first: one sample's values (one a group, when examples are clustered).
        second: the other's.
        seed: seed of the permutations.
        n_permutations: the smallest p is 1 / (n_permutations + 1).
    """
    first, second = (torch.as_tensor(x, dtype=torch.float64).flatten() for x in (first, second))
    pooled = torch.cat([first, second])
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(n_permutations, len(pooled), generator=generator).argsort(1)
    shuffled = pooled[order]
    gaps = shuffled[:, : len(first)].mean(1) - shuffled[:, len(first) :].mean(1)
    return _p((first.mean() - second.mean()).abs(), gaps.abs())


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


def _p(observed: Tensor, permuted: Tensor) -> float:
    # The slack lets permutations that only differ by rounding count as ties. The data are one of
    # the arrangements, hence + 1 above and below: p is never 0.
    as_large = permuted >= observed - 1e-12 * (1 + observed.abs())
    return (int(as_large.sum()) + 1) / (len(permuted) + 1)
