"""In how many directions each matrix works: the entropy of its singular values."""

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.errors import HookNameError
from interp.core.protocols import LanguageModel
from interp.methods.checkpoints.evaluation_set import Evaluator
from interp.methods.checkpoints.measure_scores import Scores, single
from interp.methods.measures import Measure


def rank(evaluator: Evaluator) -> dict[str, Scores]:
    """Effective rank over the largest it could be, for each matrix."""
    return {
        " ".join(map(str, name)): single(effective_rank(matrix) / min(matrix.shape))
        for name, matrix in matrices(evaluator.model).items()
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


OUTER = ("W_E", "W_pos")
INNER = ("W_Q", "W_K", "W_V", "W_O", "W_in", "W_gate", "W_out")


def matrices(model: LanguageModel) -> dict[tuple[str, ...], Float[Tensor, "row column"]]:
    """Each matrix by name and, in a block, its layer; what a model lacks is left out."""
    names = [(name,) for name in OUTER]
    names += [(name, layer) for layer in range(model.cfg.n_layers) for name in INNER]
    found = {}
    for name in [*names, ("W_U",)]:
        try:
            weight = model.weight(name[0] if len(name) == 1 else name)
        except HookNameError:
            continue
        found[name] = _flat(weight, name[0]).float().cpu()
    return found


def _flat(weight: Tensor, name: str) -> Tensor:
    """The heads of an attention matrix as columns, or as rows where they write."""
    if weight.ndim == 2:
        return weight
    return weight.flatten(0, 1) if name == "W_O" else weight.permute(1, 0, 2).flatten(1)
