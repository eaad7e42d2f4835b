"""How far the weights have come from where they began."""

import torch

from interp.methods.checkpoints.evaluation_set import Evaluator
from interp.methods.checkpoints.measure_scores import Scores, single
from interp.methods.measures import Measure
from interp.methods.parameters import weight_matrices

PARTS = {
    "embedding": ("W_E", "W_pos"),
    "attention": ("W_Q", "W_K", "W_V", "W_O"),
    "MLP": ("W_in", "W_gate", "W_out"),
    "unembedding": ("W_U",),
}


def distance(evaluator: Evaluator) -> dict[str, Scores]:
    """Length of (weights - first weights) over length of the first weights, whole and by part."""
    now, then = weight_matrices(evaluator.model), weight_matrices(evaluator.data.first)
    groups = {"all": list(now)} | {
        part: [name for name in now if name[0] in names] for part, names in PARTS.items()
    }
    return {
        part: single(_length([now[n] - then[n] for n in names]) / _length([then[n] for n in names]))
        for part, names in groups.items()
        if names and _length([then[n] for n in names]) > 0
    }


def _length(tensors: list[torch.Tensor]) -> float:
    return float(sum((each.double() ** 2).sum() for each in tensors) ** 0.5)


MEASURE = Measure(
    title="Distance of the weights from the start",
    unit="share of their first length",
    of=distance,
    applies=lambda data: True,
    place=8,
)
