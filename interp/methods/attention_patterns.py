"""Attention patterns, and the same weighed by what is written from each position."""

from einops import einsum, rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from interp.core.protocols import LanguageModel, Run


def written_norms(
    model: LanguageModel, run: Run, layer: int
) -> Float[Tensor, "batch head query key"]:
    """The norm of what each key position writes through each head: pattern x |v W_O|.

    Args:
        model: that ran.
        run: with `pattern` and `v` cached.
        layer: of the heads.
    """
    pattern, values, w_o = run["pattern", layer], run["v", layer], model.weight(("W_O", layer))
    # With grouped-query attention several heads, one after the other, share one head's values.
    shared = pattern.shape[1] // values.shape[2]
    values = repeat(
        values, "batch key kv_head d_head -> batch key (kv_head shared) d_head", shared=shared
    )
    written = einsum(
        values.float(),
        w_o.float(),
        "batch key head d_head, head d_head d_model -> batch head key d_model",
    )
    # What is written from a key is weight * v W_O, whose norm is weight * |v W_O|.
    norms = rearrange(written.norm(dim=-1), "batch head key -> batch head 1 key")
    return pattern.float() * norms


def off_by(
    pattern: Float[Tensor, "*some query key"], distance: int
) -> Float[Tensor, "*some later"]:
    """The weight on the position `distance` before each query, from query = distance on."""
    return pattern.diagonal(-distance, dim1=-2, dim2=-1)
