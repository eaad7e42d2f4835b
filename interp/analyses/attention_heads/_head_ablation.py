"""How much the loss grows when one head's output is taken away."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.core.edits import Ablate, Edit
from interp.core.protocols import LanguageModel

BATCH = 32
Kind = Literal["mean", "zero", "none"]
Loss = Callable[[Sequence[Edit]], Float[Tensor, " row"]]


def head_ablations(
    model: LanguageModel, kind: Kind, means: Float[Tensor, "layer head d_head"], loss: Loss
) -> tuple[Float[Tensor, " row"], Float[Tensor, "row layer head"]]:
    """The clean loss of each row of text, and (ablated - clean) for each head.

    Args:
        model: the model.
        kind: `mean` puts the head's mean output in place of its output, `zero` nothing.
        means: of each head's output z over the same text.
        loss: nats per token of each row, under the given edits.
    """
    clean = loss(())
    shape = (len(clean), model.cfg.n_layers, model.cfg.n_heads)
    change = torch.zeros(shape)
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):
            edit = _ablate(kind, layer, head, means)
            change[:, layer, head] = loss((edit,)) - clean
    return clean, change


def _ablate(kind: Kind, layer: int, head: int, means: Tensor) -> Ablate:
    if kind == "zero":
        return Ablate(hook=("z", layer), heads=(head,))
    return Ablate(hook=("z", layer), kind="mean", heads=(head,), value=means[layer])


def padded(
    rows: Sequence[Sequence[int]],
) -> tuple[Int[Tensor, "batch pos"], Bool[Tensor, "batch pos"]]:
    """Rows of different length as one tensor, padded on the left, and where they are real."""
    width = max(map(len, rows))
    tokens = torch.tensor([[0] * (width - len(row)) + list(row) for row in rows])
    mask = torch.tensor([[False] * (width - len(row)) + [True] * len(row) for row in rows])
    return tokens, mask


def text_loss(
    model: LanguageModel, rows: Sequence[Sequence[int]], edits: Sequence[Edit] = ()
) -> Float[Tensor, " row"]:
    """Mean nats per token of each row; a row's first token is not predicted."""
    parts = []
    for start in range(0, len(rows), BATCH):
        tokens, mask = padded(rows[start : start + BATCH])
        logits = model.run(tokens, mask=mask, edits=edits).logits[:, :-1].float().cpu()
        nats = -logits.log_softmax(-1).gather(-1, tokens[:, 1:, None]).squeeze(-1)
        predicted = mask[:, :-1]
        parts.append((nats * predicted).sum(-1) / predicted.sum(-1))
    return torch.cat(parts)


def text_means(
    model: LanguageModel, rows: Sequence[Sequence[int]]
) -> Float[Tensor, "layer head d_head"]:
    """The mean output z of every head over all real positions of the rows."""
    total, count = 0.0, 0
    for start in range(0, len(rows), BATCH):
        tokens, mask = padded(rows[start : start + BATCH])
        z = model.run(tokens, mask=mask, cache=["z"]).stack("z").float().cpu()
        total = total + z[:, mask].sum(1)
        count += int(mask.sum())
    return total / count
