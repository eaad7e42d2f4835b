"""What a token costs: the one definition of the loss that training, models and instruments use."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def surprisal(
    logits: Float[Tensor, "*batch pos d_vocab"], targets: Int[Tensor, "*batch pos"]
) -> Float[Tensor, "*batch pos"]:
    """Negative log-probability of each target in nats, in single precision or better.

    Args:
        logits: logits of the next token at each position.
        targets: the token that came next.

    Example:
        >>> surprisal(torch.zeros(1, 4), torch.tensor([2])).exp()
        tensor([4.])
    """
    # Half precision has too few digits for a sum over a vocabulary; double keeps its own.
    precise = logits if logits.dtype == torch.float64 else logits.float()
    nats = F.cross_entropy(
        precise.reshape(-1, logits.shape[-1]), targets.reshape(-1), reduction="none"
    )
    return nats.view(targets.shape)


def predicted_bytes(text: str, spans: Sequence[tuple[int, int]]) -> int:
    """Bytes (UTF-8) of the text of all tokens but the first: what a loss per byte is over.

    Args:
        text: what was read.
        spans: the characters of each token that was read.

    Example:
        >>> predicted_bytes("a bé c", [(0, 1), (1, 4), (4, 6)])
        6
    """
    return len(text[spans[0][1] : max(end for _, end in spans)].encode("utf-8"))


def weighted_mean(
    nats: Float[Tensor, "batch pos"], weights: Float[Tensor, "batch pos"] | None = None
) -> Float[Tensor, ""]:
    """The mean loss; `weights` says how much each token counts (0 at padding), None = all alike."""
    if weights is None:
        return nats.mean()
    weights = weights.to(nats.dtype)
    return (nats * weights).sum() / weights.sum()
