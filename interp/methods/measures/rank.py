"""In how many directions each matrix works: the entropy of its singular values."""

import torch
from jaxtyping import Float
from torch import Tensor

from interp.methods.checkpoints.evaluation_set import Evaluator
from interp.methods.checkpoints.measure_scores import Scores, single
from interp.methods.measures import Measure
from interp.methods.parameters import weight_matrices


def rank(evaluator: Evaluator) -> dict[str, Scores]:
    """Effective rank over the largest it could be, for each matrix."""
    return {
        " ".join(map(str, name)): single(effective_rank(matrix) / min(matrix.shape))
        for name, matrix in weight_matrices(evaluator.model).items()
    }


def effective_rank(matrix: Float[Tensor, "row column"]) -> float:
    """The exponential of the entropy of the singular values as shares of their sum; 0 of zeros.

    Source:
        Roy & Vetterli 2007, "The effective rank".
    Example:
        >>> round(effective_rank(torch.eye(4)), 6)
        4.0
    """
    values = torch.linalg.svdvals(matrix.double())
    if not values.sum() > 0:
        return 0.0
    return float(torch.special.entr(values / values.sum()).sum().exp())


MEASURE = Measure(
    title="Effective rank of each matrix",
    unit="share of full rank",
    of=rank,
    applies=lambda data: True,
    place=9,
)
