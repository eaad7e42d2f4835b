"""What all layers of one forward pass share: the tap, positions, and which keys a query sees."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.core.hooks import Tap
from interp.models.kv_cache import KVCache


@dataclass(frozen=True)
class ForwardContext:
    """What every layer of a pass is given.

    Attributes:
        tap: called at every hook point; None = no point is live.
        attention_mask: True where a query sees a key; None = causality alone, or a single query.
        is_causal: the pass is causal and needs no mask, so that the fast kernel may be used.
        cos_sin: cosine and signed sine of each position's angles, for rotary models.
        kv: keys and values of earlier columns; None = there are none.
        dropout: rate of the pass.
    """

    tap: Tap | None
    attention_mask: Bool[Tensor, "batch 1 query key"] | None
    is_causal: bool
    cos_sin: tuple[Float[Tensor, "... d_head"], Float[Tensor, "... d_head"]] | None
    kv: KVCache | None
    dropout: float

    def wants(self, *names: str) -> bool:
        """Whether the tap wants any of these points."""
        return self.tap is not None and any(map(self.tap.wants, names))

    def unseen(self, queries: int, keys: int, device: torch.device) -> Bool[Tensor, "..."]:
        """True where a query does not see a key."""
        if self.attention_mask is not None:
            return ~self.attention_mask
        # The queries are the last columns: the first of them stands at key number keys - queries.
        return torch.ones(queries, keys, dtype=torch.bool, device=device).triu(1 + keys - queries)


def causal_mask(
    new: int, start: int, mask: Bool[Tensor, "batch key"] | None, device: torch.device
) -> tuple[Bool[Tensor, "batch 1 query key"] | None, bool]:
    """`attention_mask` and `is_causal` of a pass with `new` columns after `start` earlier ones."""
    if mask is None and (start == 0 or new == 1):
        return None, new > 1
    causal = torch.ones(new, start + new, dtype=torch.bool, device=device).tril(start)
    if mask is None:
        return causal[None, None], False
    # A padded token sees itself, so that no softmax runs over nothing.
    own = causal & ~causal.tril(start - 1)
    return ((causal & mask[:, None, :]) | own)[:, None], False
