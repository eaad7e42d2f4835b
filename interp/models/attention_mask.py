"""What all layers of one forward pass share."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from interp.core.hooks import Tap
from interp.models.kv_cache import KVCache


@dataclass(frozen=True)
class Frame:
    """The tap, and who may look at whom.

    Attributes:
        allowed: True where a query may look at a key; None = causal alone, or a single query.
        causal: plain causality says it all.
        turn: cosine and sine of each position, for rotary models.
        dropout: the pass' own rate.
    """

    tap: Tap | None
    allowed: Bool[Tensor, "batch 1 query key"] | None
    causal: bool
    turn: tuple[Tensor, Tensor] | None
    kv: KVCache | None
    dropout: float

    def live(self, *names: str) -> bool:
        """Whether the tap wants any of these points."""
        return self.tap is not None and any(map(self.tap.wants, names))

    def hidden(self, queries: int, keys: int, device: torch.device) -> Bool[Tensor, "..."]:
        """True where a query may not look."""
        if self.allowed is not None:
            return ~self.allowed
        return torch.ones(queries, keys, dtype=torch.bool, device=device).triu(1 + keys - queries)


def who_sees_whom(
    new: int, start: int, mask: Bool[Tensor, "batch key"] | None, device: torch.device
) -> tuple[Bool[Tensor, "batch 1 query key"] | None, bool]:
    """`allowed` and `causal` of a frame with `new` columns after `start` earlier ones."""
    if mask is None and (start == 0 or new == 1):
        return None, new > 1
    causal = torch.ones(new, start + new, dtype=torch.bool, device=device).tril(start)
    if mask is None:
        return causal[None, None], False
    # A padded token sees itself, so that no softmax runs over nothing.
    own = causal & ~causal.tril(start - 1)
    return ((causal & mask[:, None, :]) | own)[:, None], False
