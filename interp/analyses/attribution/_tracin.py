"""TracIn: how far a step on each text would carry the loss of one mistake.

To first order a step of size lr on a text, -lr * g(text), changes the mistake's loss by
-lr * g(text) . g(mistake). The dot product of a text's gradient with a fixed vector is the
derivative of the text's loss in that direction: forward-mode differentiation gives it for every
token of a batch in one pass, so no text's gradient is ever written down.
"""

from collections.abc import Sequence
from threading import Lock

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

from interp.analyses.attribution._gradient_steps import gradient
from interp.core.protocols import LanguageModel
from interp.methods.batches import TextBatch
from interp.methods.data.answer_loss import PromptAnswer, answer_loss
from interp.methods.parameters import Parameters, losses_of, parameters_of, shell_of

_ONE_AT_A_TIME = Lock()
"""Forward mode counts its levels, and attention chooses its code, for the whole process."""


def gradient_of(model: LanguageModel, pair: PromptAnswer) -> tuple[Parameters, float]:
    """The gradient of a mistake's loss at the model's own weights, and the loss in nats."""
    shell = shell_of(model)
    params = parameters_of(model, shared=True)
    loss, grads = gradient(lambda p: answer_loss(shell, p, [pair]).loss[0], params)
    return grads, loss


def gradient_products(
    model: LanguageModel, direction: Parameters, batch: TextBatch
) -> Float[Tensor, "batch pos-1"]:
    """The gradient of each predicted token's loss, times a direction, summed over all weights."""
    params = {name: p.detach() for name, p in parameters_of(model, shared=True).items()}
    # The fused attention kernels have no forward-mode derivative; the plain one has.
    with _ONE_AT_A_TIME, sdpa_kernel(SDPBackend.MATH):
        _, slopes = jvp(lambda p: losses_of(model, p, batch.tokens), (params,), (direction,))
    return slopes.detach() * batch.weights[:, 1:]


def word_overlap(rows: Sequence[Sequence[int]], mistake: Sequence[int]) -> Float[Tensor, " text"]:
    """Cosine of the tokens that a text and the mistake hold, rare tokens counting more.

    The simplest guess at what a mistake was learned from: the text with the same words.
    """
    size = 1 + max(max(mistake), *(max(row) for row in rows))
    counts = torch.stack([torch.bincount(torch.tensor(row), minlength=size) for row in rows])
    own = torch.bincount(torch.tensor(mistake), minlength=size)
    # Inverse document frequency; the ones keep a token that no text, or every text, holds finite.
    rarity = ((1 + len(rows)) / (1 + (counts > 0).sum(0))).log()
    return torch.nn.functional.cosine_similarity(counts * rarity, (own * rarity)[None], dim=1)
