"""How many floating-point operations a model takes, counted from the shapes of its matrices."""

from collections.abc import Iterator

from torch import nn

from interp.core.errors import HookNameError
from interp.core.protocols import LanguageModel

IN_A_LAYER = ("W_Q", "W_K", "W_V", "W_O", "W_in", "W_gate", "W_out")
BACKWARD = 2
"""The backward pass of y = x W makes two products of the forward's size: dy W' is the gradient of
x, x' dy that of W."""


def n_parameters(model: LanguageModel) -> int:
    """Numbers in a model's weights; those that two places share count once."""
    module = model if isinstance(model, nn.Module) else getattr(model, "model", None)
    if isinstance(module, nn.Module):
        return sum(weight.numel() for weight in module.parameters())
    return n_multiplied(model) + model.weight("W_E").numel()


def n_multiplied(model: LanguageModel) -> int:
    """Weights that every token is multiplied with: those of all matrices but the look-up tables."""
    layers = sum(_size(model, name) for name in _matrices(model))
    return layers + model.weight("W_U").numel()


def forward_flops(model: LanguageModel, n_tokens: int) -> int:
    """Of one forward pass over one row of tokens, a multiplication and an addition counted as two.

    Only products of matrices count: norms, activations, softmax and look-ups are left out, as in
    the papers. Attention is counted as it is computed, over the whole square of pairs.

    Args:
        model: whose shapes.
        n_tokens: in the row.
    """
    # A token meets each weight of a matrix once: one multiplication and one addition.
    return 2 * n_tokens * n_multiplied(model) + attention_flops(model, n_tokens)


def attention_flops(model: LanguageModel, n_tokens: int) -> int:
    """The part of `forward_flops` that grows with the square of the row: scores and mixing."""
    cfg = model.cfg
    # In each head, Q K' and pattern @ V take n^2 * d_head multiplications, and as many additions.
    return 4 * n_tokens**2 * cfg.n_layers * cfg.n_heads * cfg.d_head


def training_flops(forward: float) -> float:
    """Operations of a forward pass and its backward pass, from those of the forward pass."""
    return (1 + BACKWARD) * forward


def _matrices(model: LanguageModel) -> Iterator[tuple[str, int]]:
    for layer in range(model.cfg.n_layers):
        for name in IN_A_LAYER:
            yield name, layer


def _size(model: LanguageModel, name: tuple[str, int]) -> int:
    """Numbers in a matrix; 0 where the model has none of this kind."""
    try:
        return model.weight(name).numel()
    except HookNameError:
        return 0
