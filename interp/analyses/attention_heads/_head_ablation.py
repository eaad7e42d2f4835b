"""What stands in for a head that is ablated, and how much the loss grows without it."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from einops import einsum
from jaxtyping import Bool, Float
from torch import Tensor

from interp.core.edits import Ablate, Edit
from interp.core.progress import progress_range
from interp.core.protocols import LanguageModel, Run
from interp.methods.batches import TextBatch, nats_per_token, read_texts

Kind = Literal["mean", "zero", "none"]
Loss = Callable[[Sequence[Edit]], Float[Tensor, " row"]]


def head_ablations(
    model: LanguageModel,
    kind: Kind,
    means: Float[Tensor, "layer head d_head"],
    loss: Loss,
    layers: Sequence[int],
) -> tuple[Float[Tensor, " row"], Float[Tensor, "row layer head"]]:
    """The clean loss of each row of text, and (ablated - clean) for each head.

    Args:
        model: the model.
        kind: `mean` puts the head's mean output in place of its output, `zero` nothing.
        means: of each head's output z over the same text (`mean_outputs`).
        loss: nats per token of each row, under the given edits.
        layers: whose heads are taken away.
    """
    clean = loss(())
    change = torch.zeros(len(clean), len(layers), model.cfg.n_heads)
    count = len(layers) * model.cfg.n_heads
    for number in range(count):
        row, head = divmod(number, model.cfg.n_heads)
        layer = layers[row]
        with progress_range(number / count, (number + 1) / count, f"without head {layer}.{head}: "):
            change[:, row, head] = loss((_ablate(kind, layer, head, means),)) - clean
    return clean, change


def _ablate(kind: Kind, layer: int, head: int, means: Tensor) -> Ablate:
    if kind == "zero":
        return Ablate(hook=("z", layer), heads=(head,))
    return Ablate(hook=("z", layer), kind="mean", heads=(head,), value=means[layer])


def text_loss(
    model: LanguageModel, rows: Sequence[Sequence[int]], edits: Sequence[Edit] = ()
) -> Float[Tensor, " row"]:
    """Mean nats per token of each row; a row's first token is not predicted."""
    return torch.stack([nats.mean() for nats in nats_per_token(model, rows, edits=edits)])


def mean_outputs(
    model: LanguageModel, rows: Sequence[Sequence[int]]
) -> Float[Tensor, "layer head d_head"]:
    """The mean output z of every head over all rows of text, their first positions left out."""
    total = torch.zeros(model.cfg.n_layers, model.cfg.n_heads, model.cfg.d_head)

    def read(batch: TextBatch, run: Run) -> None:
        sums, _ = later_sums(run.stack("z").float().cpu(), batch.real.cpu())
        total.add_(sums.sum(1))

    read_texts(model, rows, read, cache=["z"], logits=False)
    return total / sum(len(row) - 1 for row in rows)


def later_sums(
    z: Float[Tensor, "*layer row pos head d_head"], mask: Bool[Tensor, "row pos"]
) -> tuple[Float[Tensor, "*layer row head d_head"], Float[Tensor, " row"]]:
    """Sums of each head's outputs over a row's real positions after the first, and their number.

    A mean stands in for a head at the positions where edits act, and these leave the first one out.
    Many heads of trained models rest there (an attention sink): the first position attends only to
    itself, so its output is a vector of its own that no other position ever writes, and a mean that
    held it would be unlike each of the outputs that it replaces.
    """
    later = (mask & (mask.cumsum(1) > 1)).to(z)
    sums = einsum(z, later, "... row pos head d_head, row pos -> ... row head d_head")
    return sums, later.sum(1)
