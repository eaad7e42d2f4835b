"""The mistake to look at: one that was given, or the worst answer to a world's questions."""

from collections.abc import Sequence

import torch

from interp.core.errors import ConfigError
from interp.core.protocols import LanguageModel, Prompt
from interp.methods.data.answer_loss import PromptAnswer, answer_loss, held_out_pairs
from interp.methods.parameters import parameters_of, shell_of
from interp.worlds.world import World

ASKED = 64
TOGETHER = 16


def mistake_of(
    model: LanguageModel, prompt: Prompt, answer: str, world: World | None, seed: int = 0
) -> PromptAnswer:
    """The prompt and its right answer, or the held-out question that costs the model most.

    Without an answer it is the model's own second choice.

    Raises:
        ConfigError: no prompt and no world.
    """
    if len(prompt):
        return PromptAnswer.of(model, prompt, answer, rank=1)
    if world is None:
        raise ConfigError(
            "This needs a prompt with its right answer, or a world that asks questions; got "
            "neither. Give prompt= and answer=, or world=."
        )
    return worst_questions(model, world, 1, seed=seed)[0][1]


def worst_questions(
    model: LanguageModel, world: World, count: int, *, seed: int = 0
) -> list[tuple[str, PromptAnswer, float]]:
    """Held-out questions by the loss of the right answer, the worst first.

    Args:
        model: that answers.
        world: that asks.
        count: how many to return, of the 64 that are asked.
        seed: of the first story.
    Returns:
        The text before the answer, prompt and answer as ids, and the answer's loss in nats.
    """
    texts, pairs = held_out_pairs(model, world, ASKED, seed=seed)
    losses = losses_on(model, pairs)
    order = sorted(range(len(pairs)), key=lambda i: -losses[i])[:count]
    return [(texts[i], pairs[i], losses[i]) for i in order]


def losses_on(model: LanguageModel, pairs: Sequence[PromptAnswer]) -> list[float]:
    """Nats of each right answer."""
    shell, params, losses = shell_of(model), parameters_of(model, shared=True), []
    with torch.no_grad():
        for start in range(0, len(pairs), TOGETHER):
            losses += answer_loss(shell, params, pairs[start : start + TOGETHER]).loss.tolist()
    return losses
