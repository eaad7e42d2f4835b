"""Attention patterns, and the same weighed by what is written from each position."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.protocols import LanguageModel, Run

if TYPE_CHECKING:
    from interp.core.edits import Edit


def run_patterns(
    model: LanguageModel, tokens: Int[Tensor, "batch pos"], edits: "Sequence[Edit]" = ()
) -> Run:
    """One run with every layer's pattern and values."""
    return model.run(tokens, cache=["pattern", "v"], edits=edits, logits=False)


def written_norms(
    model: LanguageModel, run: Run, layer: int
) -> Float[Tensor, "batch head query key"]:
    """The norm of what each key position writes through each head: pattern x |v W_O|."""
    pattern, values, w_o = run["pattern", layer], run["v", layer], model.weight(("W_O", layer))
    shared = pattern.shape[1] // values.shape[2]
    values = values.repeat_interleave(shared, dim=2)
    written = torch.einsum("bkhd,hdm->bhkm", values.float(), w_o.float())
    return pattern.float() * written.norm(dim=-1)[:, :, None, :]


def off_by(
    pattern: Float[Tensor, "*some query key"], distance: int
) -> Float[Tensor, "*some later"]:
    """The weight on the position `distance` before each query, from query = distance on."""
    return pattern.diagonal(-distance, dim1=-2, dim2=-1)
