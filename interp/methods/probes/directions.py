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


def probe(x: Rows, positive: Bool[Tensor, "task example"]) -> Float[Tensor, "task d"]:
    """Weights of a logistic classifier, which knows how the rows vary for other reasons."""
    weight = fit_linear(x, positive.long(), 2).weight
    return weight[:, 1] - weight[:, 0]


METHODS: dict[str, Callable[[Rows, Tensor], Tensor]] = {
    "mean_difference": mean_difference,
    "pca": pca,
    "probe": probe,
}


def fit(x: Rows, positive: Bool[Tensor, "task example"], method: Method) -> Float[Tensor, "task d"]:
    """Unit directions along which, in these rows, the positive kind lies higher."""
    found = METHODS[method](x, positive)
    return _pointed(found / found.norm(dim=1, keepdim=True).clamp_min(1e-12), x, positive)


def random_directions(
    count: int, d: int, *, seed: int, device: torch.device | None = None
) -> Float[Tensor, "k d_model"]:
    """Unit vectors, uniform over all directions."""
    drawn = torch.randn(count, d, generator=torch.Generator().manual_seed(seed))
    return (drawn / drawn.norm(dim=1, keepdim=True)).to(device)


def controls(
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
    told = positive[train]
    generator = torch.Generator().manual_seed(seed)
    orders = torch.stack(
        [torch.randperm(len(train), generator=generator) for _ in range(N_SHUFFLED)]
    )
    drawn = random_directions(N_RANDOM, x.shape[1], seed=seed)
    lots = {"random": _pointed(drawn, x[train], told.expand(N_RANDOM, -1))}
    if method in METHODS:
        lots["shuffled"] = fit(x[train], told[orders], method)
    spread = {name: _spread(x[test] @ lot.T, positive[test]) for name, lot in lots.items()}
    counts = word_counts(examples)
    weight = fit_linear(counts[train], told.long()[None], 2).weight[0]
    scores = counts[test] @ (weight[1] - weight[0])
    return spread | {"bag_of_words": auroc(scores, positive[test], groups[test], seed=seed)}


def word_counts(examples: Sequence[Example]) -> Float[Tensor, "example word"]:
    """How often each token stands in each example, up to the position that is read."""
    seen = {token: i for i, token in enumerate(sorted({t for e in examples for t in e.tokens}))}
    counts = torch.zeros(len(examples), len(seen))
    for row, example in zip(counts, examples, strict=True):
        at = torch.tensor([seen[token] for token in example.tokens])
        row.index_add_(0, at, torch.ones(len(at)))
    return counts


def _pointed(directions: Tensor, x: Rows, positive: Tensor) -> Float[Tensor, "task d"]:
    signs = (directions * mean_difference(x, positive)).sum(1, keepdim=True).sign()
    return directions * torch.where(signs == 0, 1.0, signs)


def _first_axis(x: Rows, positive: Bool[Tensor, " example"]) -> Float[Tensor, " d"]:
    share = torch.where(positive, 0.5 / positive.sum(), 0.5 / (~positive).sum())
    centred = (x - share @ x) * share.sqrt()[:, None]
    return torch.linalg.svd(centred, full_matrices=False).Vh[0]


def _spread(scores: Float[Tensor, "example k"], positive: Tensor) -> Interval:
    ranks = scores.double().argsort(0).argsort(0).double() + 1
    hits = int(positive.sum())
    above = ranks[positive].sum(0) - hits * (hits + 1) / 2
    reached = above / (hits * (len(positive) - hits))
    ends = torch.tensor([0.025, 0.975], dtype=torch.float64)
    low, high = reached.quantile(ends).tolist()
    return Interval(value=float(reached.mean()), low=low, high=high, n=len(reached))
