"""How far a step on each text would carry the loss of one mistake: gradient dot products.

The dot product of a text's gradient with a fixed vector is the derivative of the text's loss in
that direction. Forward-mode differentiation gives it for every token of a batch in one pass, so no
text's gradient is ever written down.
"""

from collections.abc import Sequence
from threading import Lock

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

from interp.core.protocols import LanguageModel
from interp.methods.batches import Batch
from interp.methods.data.answer_loss import PromptAnswer, answer_loss
from interp.methods.parameters import Parameters, losses_of, parameters_of, shell_of

_ONE_AT_A_TIME = Lock()
"""Forward mode counts its levels, and attention chooses its code, for the whole process."""


def gradient_of(model: LanguageModel, pair: PromptAnswer) -> tuple[Parameters, float]:
    """The gradient of a mistake's loss at the model's own weights, and the loss in nats."""
    params = parameters_of(model, shared=True)
    loss = answer_loss(shell_of(model), params, [pair]).loss[0]
    found = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
    pairs = zip(params.items(), found, strict=True)
    grads = {n: torch.zeros_like(p) if g is None else g for (n, p), g in pairs}
    return {name: grad.detach() for name, grad in grads.items()}, float(loss.detach())


def products(
    model: LanguageModel, direction: Parameters, batch: Batch
) -> Float[Tensor, "batch pos-1"]:
    """The gradient of each predicted token's loss, times a direction, summed over all weights."""
    params = {name: p.detach() for name, p in parameters_of(model, shared=True).items()}
    with _ONE_AT_A_TIME, sdpa_kernel(SDPBackend.MATH):
        _, found = jvp(lambda p: losses_of(model, p, batch.tokens), (params,), (direction,))
    return found.detach() * batch.weights[:, 1:]


def overlap(rows: Sequence[Sequence[int]], mistake: Sequence[int]) -> Float[Tensor, " text"]:
    """Cosine of the tokens that a text and the mistake hold, rare tokens counting more.

    The simplest guess at what a mistake was learned from: the text with the same words.
    """
    size = 1 + max(max(mistake), *(max(row) for row in rows))
    counts = torch.stack([torch.bincount(torch.tensor(row), minlength=size) for row in rows])
    asked = torch.bincount(torch.tensor(mistake), minlength=size)
    rarity = ((1 + len(rows)) / (1 + (counts > 0).sum(0))).log()
    texts, goal = counts * rarity, asked * rarity
    return torch.nn.functional.cosine_similarity(texts, goal[None], dim=1)
