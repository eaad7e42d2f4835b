"""What a model answers with a vector added at one token of each story: many stories a batch."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.analyses._state_items import Item
from interp.analyses._streams import Site
from interp.edits import Add, Where
from interp.protocols import LanguageModel

BATCH = 64


@torch.no_grad()
def first_choices(
    model: LanguageModel,
    items: Sequence[Item],
    site: Site | None = None,
    vectors: Float[Tensor, "item d_model"] | None = None,
    positions: Sequence[int] = (),
) -> list[Int[Tensor, " pos"]]:
    """The most probable next token at every position of each story.

    Args:
        model: to ask.
        items: whose stories are read.
        site: where the vectors are added; None = read as they are.
        vectors: one an item.
        positions: at which token, one an item.
    """
    found = []
    for start in range(0, len(items), BATCH):
        part = items[start : start + BATCH]
        width = max(len(item.tokens) for item in part)
        rows = [[*item.tokens, *[0] * (width - len(item.tokens))] for item in part]
        edits = []
        if site is not None:
            there = positions[start : start + BATCH]
            edits = [_added(site, vectors[start : start + BATCH], there, width)]
        best = model.run(torch.tensor(rows), edits=edits).logits.argmax(-1).cpu()
        found += [row[: len(item.tokens)] for row, item in zip(best, part, strict=True)]
    return found


def _added(
    site: Site, vectors: Float[Tensor, "item d_model"], positions: Sequence[int], width: int
) -> Add:
    """One edit for the whole batch: each row's vector at its own token, nothing elsewhere."""
    filled = torch.zeros(len(vectors), width, vectors.shape[1])
    filled[torch.arange(len(vectors)), list(positions)] = vectors.float()
    return Add(hook=site, vector=filled, where=Where(positions=tuple(sorted(set(positions)))))
