"""A model's weight matrices, heads side by side."""

from jaxtyping import Float
from torch import Tensor

from interp.errors import HookNameError
from interp.protocols import LanguageModel

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
