"""What each token of a text must cost at least, and which of the world's choices it shows."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.alignment import Span, first_shown, nats_per_token, token_range
from interp.worlds.world import Choice

DETERMINED = "determined"


def floor_by_token(
    text: str, spans: Sequence[Span], choices: Sequence[Choice] | None
) -> tuple[Float[Tensor, " pos"], tuple[str, ...]]:
    """Floor in nats of each predicted token, and the kind of the costliest choice it shows."""
    if choices is None:
        return torch.full((len(spans) - 1,), math.nan), (DETERMINED,) * (len(spans) - 1)
    costs = [(*choice.span, choice.surprisal_nats) for choice in choices]
    kinds, highest = [DETERMINED] * len(spans), [-math.inf] * len(spans)
    for choice in choices:
        start, end = choice.span
        if start >= end:
            continue
        first, last = token_range(spans, (first_shown(text, start, end), end))
        for token in range(first, last + 1):
            if choice.surprisal_nats > highest[token]:
                kinds[token], highest[token] = choice.kind, choice.surprisal_nats
    nats = torch.tensor(nats_per_token(text, spans, costs), dtype=torch.float64)
    return nats[1:], tuple(kinds[1:])
