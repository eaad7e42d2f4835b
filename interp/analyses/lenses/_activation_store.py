"""Residual streams of many documents, kept with the document each position came from."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.errors import NotEnoughDataError
from interp.core.protocols import LanguageModel
from interp.methods.unembedding import check_readout, residuals


@dataclass(frozen=True, kw_only=True)
class Streams:
    """Residual streams of many documents, one after the other along `pos`.

    Attributes:
        resid: the stream; row 0 = embedding, last = final.
        document: number of the document that each position is of.
    """

    resid: Float[Tensor, "layer pos d_model"]
    document: Int[Tensor, " pos"]


def documents(model: LanguageModel, texts: Sequence[str]) -> list[list[int]]:
    """The ids of each text, cut at the model's context."""
    return [model.tokenizer.encode(text)[: model.cfg.n_ctx] for text in texts]


def split(
    rows: list[list[int]], held_out: list[list[int]], seed: int
) -> tuple[list[list[int]], list[list[int]]]:
    """Training and held-out documents; without the latter, a fifth of the former, drawn by `seed`.

    Raises:
        NotEnoughDataError: fewer than five documents, or fewer than two held out.
    """
    if len(rows) < 5 or len(held_out) == 1:
        raise NotEnoughDataError(
            "Five documents or more are needed, and two or more held out, to measure on text that "
            f"was not learned from; got {len(rows)} and {len(held_out)}. Give more texts."
        )
    if held_out:
        return rows, held_out
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed)).tolist()
    count = max(2, len(rows) // 5)
    return [rows[i] for i in order[count:]], [rows[i] for i in order[:count]]


@torch.no_grad()
def harvest(
    model: LanguageModel, rows: list[list[int]], max_tokens: int, tolerance: float
) -> Streams:
    """Streams of the documents, one after the other, until `max_tokens` positions are reached.

    Raises:
        ReadoutError: the last stream does not reproduce the model's logits.
    """
    streams, owners, n_tokens = [], [], 0
    for number, row in enumerate(rows):
        # Two documents in any case: an interval over documents needs them.
        if n_tokens >= max_tokens and number >= 2:
            break
        run, resid = residuals(model, torch.tensor([row]))
        check_readout(model, resid[-1], run.logits, tolerance)
        streams.append(resid[:, 0])
        owners.append(torch.full((len(row),), number))
        n_tokens += len(row)
    return Streams(resid=torch.cat(streams, 1), document=torch.cat(owners))
