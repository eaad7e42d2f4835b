"""Directions that tell two kinds of rows apart, and the controls every such direction faces."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.core.statistics.association import auroc
from interp.core.statistics.intervals import Interval
from interp.methods.data.examples import Example
from interp.methods.probes.classifier import fit_linear

Method = Literal["mean_difference", "pca", "probe", "gradient"]
Rows = Float[Tensor, "example d_model"]
N_RANDOM, N_SHUFFLED = 200, 20


def mean_difference(x: Rows, positive: Bool[Tensor, "task example"]) -> Float[Tensor, "task d"]:
    """Mean of the positive rows less mean of the others, a direction a task."""
    flags = positive.float()
    mine = flags @ x / flags.sum(1, keepdim=True)
    return mine - (1 - flags) @ x / (1 - flags).sum(1, keepdim=True)


def pca(x: Rows, positive: Bool[Tensor, "task example"]) -> Float[Tensor, "task d"]:
    """The first principal axis of the rows, the two kinds weighing the same."""
    return torch.stack([_first_axis(x, flags) for flags in positive])


def probe_weights(x: Rows, positive: Bool[Tensor, "task example"]) -> Float[Tensor, "task d"]:
    """Weights of a logistic classifier, which knows how the rows vary for other reasons."""
    weight = fit_linear(x, positive.long(), 2).weight
    # Softmax over two classes sees the difference of their scores only.
    return weight[:, 1] - weight[:, 0]


METHODS: dict[str, Callable[[Rows, Tensor], Tensor]] = {
    "mean_difference": mean_difference,
    "pca": pca,
    "probe": probe_weights,
}


def fit_directions(
    x: Rows, positive: Bool[Tensor, "task example"], method: Method
) -> Float[Tensor, "task d"]:
    """Unit directions along which, in these rows, the positive kind lies higher.

    Args:
        x: rows that the directions are found from.
        positive: which rows are of the kind, for each task.
        method: one of `METHODS`; a `gradient` is found from the model, not from rows.
    """
    directions = METHODS[method](x, positive)
    units = directions / directions.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return _turned_to_positive(units, x, positive)


def random_directions(count: int, d: int, *, seed: int) -> Float[Tensor, "k d_model"]:
    """Unit vectors, uniform over all directions."""
    # A normal vector has no preferred direction, so its direction is uniform on the sphere.
    vectors = torch.randn(count, d, generator=torch.Generator().manual_seed(seed))
    return vectors / vectors.norm(dim=1, keepdim=True)


def direction_controls(
    x: Rows,
    positive: Bool[Tensor, " example"],
    examples: Sequence[Example],
    groups: Int[Tensor, " example"],
    train: Int[Tensor, " example"],
    test: Int[Tensor, " example"],
    method: Method,
    seed: int,
) -> dict[str, Interval]:
    """Held-out AUROC of what should not work, or of what needs no model.

    Returns:
        `random` and `shuffled`: mean and middle 95 % of random directions (each turned by the
        training rows) and of directions fitted to shuffled labels (where rows with labels are
        what the method fits); n counts directions.
        `bag_of_words`: a logistic classifier of token counts, with its interval over stories.
    """
    labels = positive[train]
    generator = torch.Generator().manual_seed(seed)
    orders = torch.stack(
        [torch.randperm(len(train), generator=generator) for _ in range(N_SHUFFLED)]
    )
    random = random_directions(N_RANDOM, x.shape[1], seed=seed)
    # They take their sign from the training rows too; else half of them would lie below 0.5, and
    # any direction with the right sign would beat their mean for nothing.
    directions = {"random": _turned_to_positive(random, x[train], labels.expand(N_RANDOM, -1))}
    if method in METHODS:
        directions["shuffled"] = fit_directions(x[train], labels[orders], method)
    spread = {
        name: _spread(x[test] @ units.T, positive[test]) for name, units in directions.items()
    }
    counts = token_counts(examples)
    weight = fit_linear(counts[train], labels.long()[None], 2).weight[0]
    scores = counts[test] @ (weight[1] - weight[0])
    return spread | {"bag_of_words": auroc(scores, positive[test], groups[test], seed=seed)}


def token_counts(examples: Sequence[Example]) -> Float[Tensor, "example word"]:
    """How often each token stands in each example, up to the position that is read."""
    words = sorted({token for example in examples for token in example.tokens})
    column = {token: i for i, token in enumerate(words)}
    counts = torch.zeros(len(examples), len(words))
    for row, example in zip(counts, examples, strict=True):
        columns = torch.tensor([column[token] for token in example.tokens])
        row.index_add_(0, columns, torch.ones(len(columns)))
    return counts


def _turned_to_positive(directions: Tensor, x: Rows, positive: Tensor) -> Float[Tensor, "task d"]:
    """Each direction or its opposite: along which the positive rows' mean lies higher."""
    signs = (directions * mean_difference(x, positive)).sum(1, keepdim=True).sign()
    return directions * torch.where(signs == 0, 1.0, signs)


def _first_axis(x: Rows, positive: Bool[Tensor, " example"]) -> Float[Tensor, " d"]:
    # Each kind has half of the weight, so that the more frequent one does not set the axis. Rows
    # times the root of their weight have the weighted covariance as their Gram matrix, whose first
    # eigenvector is their first right singular vector.
    share = torch.where(positive, 0.5 / positive.sum(), 0.5 / (~positive).sum())
    centred = (x - share @ x) * share.sqrt()[:, None]
    return torch.linalg.svd(centred, full_matrices=False).Vh[0]


def _spread(scores: Float[Tensor, "example k"], positive: Tensor) -> Interval:
    """Mean and middle 95 % of many directions' AUROCs."""
    # Mann & Whitney: the positives' ranks, less those that they would have among themselves, count
    # the pairs in which a positive lies above a negative.
    ranks = scores.double().argsort(0).argsort(0).double() + 1
    n_positive = int(positive.sum())
    pairs_won = ranks[positive].sum(0) - n_positive * (n_positive + 1) / 2
    aurocs = pairs_won / (n_positive * (len(positive) - n_positive))
    ends = torch.tensor([0.025, 0.975], dtype=torch.float64)
    low, high = aurocs.quantile(ends).tolist()
    return Interval(value=float(aurocs.mean()), low=low, high=high, n=len(aurocs))
