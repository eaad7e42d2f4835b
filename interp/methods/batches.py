"""Texts as rows of ids, filled up behind their end, a bounded number of tokens at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.errors import NotEnoughDataError
from interp.core.protocols import LanguageModel
from interp.worlds.world import World

MOST_TOKENS = 8192


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some rows.

    Attributes:
        numbers: which of the texts they are.
        tokens: padded on the right, where a causal model does not see it.
        weights: 1 at what is predicted, 0 at the first token and behind the end.
    """

    numbers: list[int]
    tokens: Int[Tensor, "batch pos"]
    weights: Float[Tensor, "batch pos"]


def texts_of(texts: Sequence[str], world: World | None, count: int, split: str) -> tuple[str, ...]:
    """The texts that were given, or a world's first stories of a split.

    Raises:
        NotEnoughDataError: neither texts nor world.
    """
    if not texts and world is None:
        raise NotEnoughDataError("Texts, or a world that tells stories, were needed; none came.")
    return tuple(texts) or tuple(world.sample(i, split=split).text for i in range(count))


def rows_of(model: LanguageModel, texts: Sequence[str]) -> list[list[int]]:
    """The ids of each text, cut at the model's context.

    Raises:
        NotEnoughDataError: no text, or one of which nothing can be predicted.
    """
    rows = [model.tokenizer.encode(text)[: model.cfg.n_ctx] for text in texts]
    short = next((i for i, row in enumerate(rows) if len(row) < 2), None)
    if not rows or short is not None:
        came = "none came" if not rows else f"text {short} has {len(rows[short])}"
        raise NotEnoughDataError(f"Texts of two tokens or more were needed; {came}.")
    return rows


def batches(
    rows: Sequence[Sequence[int]], device: torch.device, most: int = MOST_TOKENS
) -> Iterator[Batch]:
    """The rows, the shortest first, at most `most` tokens (or one row) at a time."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    part: list[int] = []
    for i in order:
        if part and (len(part) + 1) * len(rows[i]) > most:
            yield _batch(rows, part, device)
            part = []
        part.append(i)
    if part:
        yield _batch(rows, part, device)


def _batch(rows: Sequence[Sequence[int]], part: list[int], device: torch.device) -> Batch:
    width = max(len(rows[i]) for i in part)
    tokens = torch.tensor([[*rows[i], *[0] * (width - len(rows[i]))] for i in part], device=device)
    lengths = torch.tensor([len(rows[i]) for i in part], device=device)
    place = torch.arange(width, device=device)
    weights = ((place > 0) & (place < lengths[:, None])).float()
    return Batch(numbers=part, tokens=tokens, weights=weights)
