"""Rank correlation and AUROC, with cluster-bootstrap intervals."""

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.errors import NotEnoughDataError
from interp.core.statistics.intervals import (
    Groups,
    Interval,
    Statistic,
    Values,
    bootstrap,
    paired_values,
)


def spearman(
    x: Values, y: Values, groups: Groups | None = None, *, seed: int = 0, **options: float
) -> Interval:
    """Rank correlation (ties share their mean rank) with its cluster-bootstrap interval.

    Args:
        x: a number an example.
        y: a number for the same examples.
        groups: the story of each example.
        seed: seed of the resampling.
        options: `n_boot`, `level`.
    Raises:
        ShapeError: different lengths.
        NotEnoughDataError: fewer than two groups.
    Example:
        >>> spearman([1, 2, 3, 4], [1, 8, 27, 64]).value
        1.0
    """
    x, y = paired_values(x, y)
    # Ranks are taken anew in each resample: an example drawn twice counts as two tied ones.
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
        seed: seed of the resampling.
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
    _, place = scores.unique(return_inverse=True)  # number of each distinct score, in order

    def statistic(weights: Tensor) -> Tensor:
        hits = _by_value(weights * positive, place)
        misses = _by_value(weights * ~positive, place)
        below = misses.cumsum(1) - misses / 2  # half of the tied ones count as below
        return (hits * below).sum(1) / (hits.sum(1) * misses.sum(1))

    return bootstrap(statistic, len(scores), groups, seed=seed, **options)


def _by_value(weights: Tensor, place: Tensor) -> Float[Tensor, "boot value"]:
    sums = weights.new_zeros(len(weights), int(place.max()) + 1)
    return sums.index_add_(1, place, weights)


def _weighted_ranks(values: Tensor) -> Statistic:
    _, place = values.unique(return_inverse=True)

    def ranks(weights: Tensor) -> Tensor:
        copies = _by_value(weights, place)
        # Ties share their mean rank: all copies below, and half of the tied ones. Left out are the
        # constant 1/2 and the scale, which a correlation does not see.
        return (copies.cumsum(1) - copies / 2)[:, place]

    return ranks


def _weighted_pearson(x: Tensor, y: Tensor, weights: Tensor) -> Float[Tensor, " boot"]:
    share = weights / weights.sum(1, keepdim=True)
    x = x - (share * x).sum(1, keepdim=True)
    y = y - (share * y).sum(1, keepdim=True)
    spread = ((share * x * x).sum(1) * (share * y * y).sum(1)).sqrt()
    return (share * x * y).sum(1) / spread
