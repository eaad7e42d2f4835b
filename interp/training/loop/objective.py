"""What is minimized: the weighted sum of the predicted tokens' surprisals."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from interp.core.surprisal import surprisal


class Objective(nn.Module):
    """A model with its loss, so that one wrapper (compile, DDP) covers both.

    Args:
        model: maps tokens "batch pos" to logits "batch pos d_vocab".
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, tokens: Int[Tensor, "batch pos"], weights: Float[Tensor, "batch pos"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Sums over the row's predicted tokens (all but the first), in nats.

        Returns:
            The sum of weight times surprisal, and the sum of surprisal where the weight is not 0.
        """
        nats = surprisal(self.model(tokens[:, :-1]), tokens[:, 1:])
        weights = weights[:, 1:]
        return (nats * weights).sum(), (nats.detach() * (weights > 0)).sum()


def counts(weights: Float[Tensor, "batch pos"]) -> Float[Tensor, "2"]:
    """The two denominators of `Objective`: sum of weights, and number of tokens that count."""
    weights = weights[:, 1:]
    return torch.stack([weights.sum(), (weights > 0).sum().to(weights.dtype)])
