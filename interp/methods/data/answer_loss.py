"""Prompts with their right answers, what a model says of them under any weights, and the worst."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from interp.core.errors import ConfigError, NotEnoughDataError, TokenError
from interp.core.protocols import LanguageModel, Prompt
from interp.methods.batches import padded
from interp.methods.data.questions import questions_in
from interp.methods.parameters import parameters_of, shell_of
from interp.methods.prompts import answer_ids, continuation_ids, one_row
from interp.worlds.world import World

MOST_STORIES, ASKED, TOGETHER = 400, 64, 16


@dataclass(frozen=True, kw_only=True)
class PromptAnswer:
    """One prompt and its right answer.

    Attributes:
        prompt: the prompt's tokens, as ids.
        answer: the tokens that should follow, as ids.
    """

    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    @classmethod
    def of(
        cls, model: LanguageModel, prompt: Prompt, answer: str, *, rank: int = 0
    ) -> "PromptAnswer":
        """Read a prompt and its answer.

        Args:
            model: whose tokens they are.
            prompt: one text, or the ids of one row.
            answer: what should follow, read as `answer_ids` does; empty = the model's own choice
                of this rank.
            rank: 0 = the most probable token, 1 = the second.
        Raises:
            TokenError: the answer has no token, or does not fit into the context.
        """
        tokens = one_row(model, prompt)
        if answer:
            ids = answer_ids(model.tokenizer, tokens[0].tolist(), answer)
        else:
            ids = model.run(tokens).logits[0, -1].topk(rank + 1).indices[rank:].tolist()
        # The answer's last token is predicted but never read.
        length = tokens.shape[1] + len(ids) - 1
        if not ids or length > model.cfg.n_ctx:
            raise TokenError(
                f"Prompt and answer need 1 to {model.cfg.n_ctx} tokens and an answer of one token "
                f"or more; got {length} and {len(ids)}. Cut the text, or write an answer."
            )
        return cls(prompt=tuple(tokens[0].tolist()), answer=tuple(ids))


@dataclass(frozen=True, kw_only=True)
class AnswerLoss:
    """What a model says of prompt-answer pairs.

    Attributes:
        loss: nats of each whole answer, its tokens summed.
        log_probs: log-probabilities of each prompt's next token, in nats.
    """

    loss: Float[Tensor, " pair"]
    log_probs: Float[Tensor, "pair d_vocab"]


def answer_loss(
    shell: nn.Module, params: Mapping[str, Tensor], pairs: Sequence[PromptAnswer]
) -> AnswerLoss:
    """Losses and next-token log-probabilities under other weights.

    Args:
        shell: the model's modules, see `methods.parameters.shell_of`.
        params: all its parameters.
        pairs: at least one.
    """
    rows = [(*pair.prompt, *pair.answer[:-1]) for pair in pairs]
    device = next(iter(params.values())).device
    tokens = padded(rows, device)
    logits = functional_call(shell, dict(params), (tokens,))
    losses, firsts = [], []
    for row, pair in zip(logits, pairs, strict=True):
        start = len(pair.prompt) - 1
        log_probs = row[start : start + len(pair.answer)].log_softmax(-1)
        answer = torch.tensor(pair.answer, device=device)
        losses.append(-log_probs.gather(-1, answer[:, None]).sum())
        firsts.append(log_probs[0])
    return AnswerLoss(loss=torch.stack(losses), log_probs=torch.stack(firsts))


def held_out_pairs(
    model: LanguageModel,
    world: World,
    count: int,
    *,
    seed: int = 0,
    without: Sequence[tuple[int, ...]] = (),
) -> tuple[list[str], list[PromptAnswer]]:
    """A world's questions that no model was trained on, each of another story.

    Args:
        model: whose tokens they are.
        world: that asks.
        count: how many.
        seed: of the first story.
        without: prompts, as ids, that are not taken.
    Returns:
        The texts before the answers, and the pairs.
    Raises:
        NotEnoughDataError: the world asks too little that the model can read.
    """
    texts: list[str] = []
    pairs: list[PromptAnswer] = []
    for number in range(seed, seed + MOST_STORIES):
        if len(pairs) == count:
            return texts, pairs
        questions = questions_of(model, world, number)
        if not questions:
            continue
        text, _, pair = questions[number % len(questions)]
        if pair.prompt not in without:
            texts.append(text)
            pairs.append(pair)
    raise NotEnoughDataError(
        f"This needs {count} held-out questions; got {len(pairs)} that fit, of {MOST_STORIES} "
        f"stories of the world {world.name!r}. Give prompts of your own, or another world."
    )


def questions_of(
    model: LanguageModel, world: World, number: int, *, split: str = "held_out"
) -> list[tuple[str, str, PromptAnswer]]:
    """The questions of one story that fit into the context.

    Args:
        model: whose tokens they are.
        world: that tells the story.
        number: of the story.
        split: `held_out`, or `composition` for what no training story put together.
    Returns:
        The text before each answer, the answer with the space before it, and both as ids.
    """
    story = world.sample(number, split=split)
    pairs = []
    for question in questions_in([story]):
        text = story.text[: question.start].rstrip()
        answer = story.text[len(text) : question.start] + question.answer
        if len(model.tokenizer.encode(text + answer)) <= model.cfg.n_ctx:
            prompt = tuple(one_row(model, text)[0].tolist())
            ids = tuple(continuation_ids(model.tokenizer, answer))  # to the letter, as no one typed
            pairs.append((text, answer, PromptAnswer(prompt=prompt, answer=ids)))
    return pairs


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
