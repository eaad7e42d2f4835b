"""Which training texts helped a model to one right answer, and which hurt.

A text's score is the learning rate times the dot product of its gradient with that of the answer's
loss, summed over checkpoints (TracIn). The dot products of all tokens of a batch come from one
forward-mode pass, so no text's gradient is stored, and each score is given token by token.

A mistake is right against wrong: `against` takes the loss of what the model says instead off the
right answer's. Without it the scores are mostly those of the texts that tell the right answer, and
texts that taught the wrong one are often missed.

Control: shared words (the rank correlation with the scores is printed), an untrained model's
scores, and the texts' words in random order; beside them, how far the checkpoints agree. Whether it
names the right texts was tested by training again without them: see docs/learning.md.

Units: learning rate times squared nats per squared unit of weight. Above zero, a small plain step
on the text lowers the answer's loss (or its lead over `against`); Muon and AdamW take other steps.

    interp run influence --world stories --n-stories 60
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from threading import Lock
from typing import TYPE_CHECKING, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

from interp.analyses.attribution._gradient_steps import gradient
from interp.core.cost import Passes, announce
from interp.core.display import percent
from interp.core.errors import ConfigError
from interp.core.progress import progress_range, report_progress
from interp.core.protocols import LanguageModel, Prompt
from interp.core.statistics.association import spearman
from interp.methods.batches import (
    TextBatch,
    TokenValues,
    encoded_texts,
    text_batches,
    texts_or_stories,
)
from interp.methods.data.answer_loss import PromptAnswer, answer_loss, mistake_of
from interp.methods.parameters import Parameters, losses_of, parameters_of, shell_of
from interp.methods.prompts import displayed, shuffled_rows
from interp.methods.untrained import untrained_twins
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.runs.checkpoints import chosen_steps
from interp.worlds.world import World

if TYPE_CHECKING:
    import pandas as pd

SHUFFLED = 64
_ONE_AT_A_TIME = Lock()
"""Forward mode counts its levels, and attention chooses its code, for the whole process."""


@dataclass(frozen=True, kw_only=True)
class Influence(Result):
    """TracIn's scores: above zero = training on the text lowered the right answer's loss.

    Attributes:
        tokens: the prompt's tokens, for display.
        answer: the right answer, for display.
        against: the wrong answer whose loss was taken off, for display; empty = none was.
        steps: checkpoints that were summed over; empty = the model as it is, once.
        losses: nats of the right answer at each checkpoint.
        texts: the training texts that are scored.
        scores: each text's score, summed over the checkpoints.
        by_step: each text's score at each checkpoint, before weighting.
        weights: what each checkpoint's scores were multiplied with: its learning rate.
        overlap: cosine of each text's words with those of prompt and answers, in [0, 1].
        untrained: each text's score under untrained models of the same config.
        shuffled: scores of the first texts at the last checkpoint, their words in random order.
        strongest: numbers of the texts with the largest and the smallest scores.
        parts: tokens of each of the strongest texts, for display, and what each token adds.
    """

    tokens: tuple[str, ...]
    answer: str
    steps: tuple[int, ...]
    losses: Float[Tensor, " step"]
    texts: tuple[str, ...]
    scores: Float[Tensor, " text"]
    by_step: Float[Tensor, "step text"]
    weights: Float[Tensor, " step"]
    overlap: Float[Tensor, " text"]
    untrained: Float[Tensor, "seed text"]
    shuffled: Float[Tensor, " some"]
    strongest: tuple[int, ...]
    parts: tuple[tuple[tuple[str, ...], Float[Tensor, " pos"]], ...]
    against: str = ""
    columns: ClassVar = {"score": "scores", "overlap": "overlap", "untrained_score": "untrained"}
    labels: ClassVar = {"content": ("text", "texts")}

    @property
    def helped(self) -> tuple[int, ...]:
        """Texts that pushed towards the right answer, the strongest first."""
        return tuple(i for i in self.strongest if self.scores[i] > 0)

    @property
    def hurt(self) -> tuple[int, ...]:
        """Texts that pushed away from the right answer, the strongest first."""
        return tuple(i for i in reversed(self.strongest) if self.scores[i] < 0)

    @property
    def stability(self) -> float:
        """How far checkpoints agree: the mean rank correlation of their scores, two at a time.

        nan with fewer than two checkpoints.
        """
        pairs = [_rank_correlation(*two) for two in combinations(self.by_step, 2)]
        return sum(pairs) / len(pairs) if pairs else float("nan")

    def finding(self) -> str:
        lexical = _rank_correlation(self.scores, self.overlap)
        controls = ", ".join(f"{_rank_correlation(self.scores, row):.2f}" for row in self.untrained)
        helped = percent((self.scores > 0).float().mean())
        instead = f" rather than {self.against!r}" if self.against else ""
        agree = ""
        if len(self.by_step) > 1:
            agree = (
                f" Its {len(self.by_step)} checkpoints agree by {self.stability:.2f} (mean rank "
                "correlation)."
            )
        return (
            f"Influence: {helped} of {len(self.texts)} training texts helped the right answer "
            f"{self.answer!r}{instead} (loss {self.losses[-1]:.2f} nats), the rest hurt it; "
            f"scores {self.scores.min():+.3g} to {self.scores.max():+.3g}. Rank correlation with "
            f"shared words {lexical:.2f}, with an untrained model's scores "
            f"{controls or 'not known'}.{agree}"
        )

    def caption(self) -> str:
        where = "the newest weights only"
        if self.steps:
            spreads = self.weights * self.by_step.std(1, correction=0)
            share, strongest = spreads.max() / spreads.sum(), self.steps[int(spreads.argmax())]
            where = (
                f"steps {', '.join(map(str, self.steps))} (step {strongest} makes up "
                f"{percent(share)} of their spread)"
            )
        goal = "the right answer's loss"
        if self.against:
            goal += f" less that of {self.against!r}"
        spread = ""
        if len(self.shuffled):
            real = self.by_step[-1, : len(self.shuffled)]
            spread = (
                f" At the last checkpoint the size of a score is {real.abs().mean():.3g} for the "
                f"texts, and {self.shuffled.abs().mean():.3g} with their words in random order "
                f"(n = {len(self.shuffled)})."
            )
        return (
            f"{self.finding()} TracIn: learning rate times the gradient of the text's loss times "
            f"that of {goal}, summed over {where}. Above zero, a small plain step on the text "
            f"would lower it.{spread} One mistake, so no interval. It is a "
            "first-order guess, and training used another optimizer than plain steps: see the "
            "retraining test in the documentation."
        )

    def frame(self) -> "pd.DataFrame":
        """One row a text, by its number, from the highest score to the lowest."""
        return super().frame().sort_values("score", ascending=False, ignore_index=True)


def influence(
    model: LanguageModel,
    texts: Sequence[str] = (),
    *,
    prompt: Prompt = "",
    answer: str = "",
    against: str | None = None,
    world: World | None = None,
    n_stories: int = 60,
    steps: Sequence[int] = (),
    most_steps: int = 4,
    rates: Sequence[float] = (),
    alike: bool = False,
    k: int = 10,
    untrained: int = 1,
    seed: int = 0,
) -> Influence:
    """Score training texts by what a step on each does to the loss of one right answer.

    Args:
        model: opened from a run, or any model: then its weights as they are count once.
        texts: texts that may have been trained on; none = `world`'s first training stories.
        prompt: what the model goes on from wrongly; empty = the worst answered of `world`'s
            held-out questions.
        answer: the right one (the space before a word may be left out); empty = the model's own
            second choice.
        against: a wrong answer, whose loss is taken off the right one's; empty = what the model
            says at the prompt. Give it to find the texts that taught a mistake.
        world: the world that asks where no prompt is given, and tells where no texts are.
        n_stories: how many training stories the world tells.
        steps: checkpoints to sum over; none = all but the first weights, thinned to `most_steps`.
        most_steps: how many checkpoints at most, log-spaced.
        rates: a learning rate a checkpoint; none = 1 each.
        alike: divide each checkpoint's scores by their spread first, so that all count alike; the
            first gradients of a run are so large that they would decide alone.
        k: how many texts to show on either side.
        untrained: untrained models of the same config to compare with, where they can be made.
        seed: the seed of the untrained models, of the random orders, and of the questions.
    Returns:
        Influence: a score a text, and for the strongest a score a token.
    Raises:
        NotEnoughDataError: no text, or no question.
        TokenError: the prompt or the answer cannot be read.
        ConfigError: neither prompt nor world, not one rate a checkpoint, or a wrong answer that is
            the right one.
    Example:
        >>> scored = influence(  # doctest: +SKIP
        ...     model, texts, against="", prompt="It is a rainy night. Ben is", answer=" in"
        ... )
        >>> scored.hurt[:3]  # numbers of the texts that taught the mistake  # doctest: +SKIP
        (17, 4, 60)
    Source:
        Pruthi et al. 2020, "Estimating Training Data Influence by Tracing Gradient Descent".
        Theirs works on the last layers' gradients; ours on all parameters, exactly; theirs has no
        contrast of two answers.
    """
    call = dict(locals())
    goal = _goal(model, mistake_of(model, prompt, answer, world, seed), against)
    pair, *wrong = goal
    chosen = _steps(model, steps, most_steps)
    weights = torch.tensor(rates or [1.0] * max(1, len(chosen)))
    if len(weights) != max(1, len(chosen)):
        raise ConfigError(
            f"Influence needs one rate a step, {max(1, len(chosen))} in all; got {len(weights)}."
        )
    texts = texts_or_stories(texts, world, n_stories, "train")
    rows = encoded_texts(model, texts)
    _announce(model, goal, rows, max(1, len(chosen)), untrained)
    scores_by_token, losses, last = [], [], max(1, len(chosen)) - 1
    for i, step in enumerate(chosen or (None,)):
        checkpoint = model if step is None else model.history[step]
        with progress_range(i / (last + 2), (i + 1) / (last + 2), f"step {step}: " * bool(chosen)):
            tokens, loss = _per_token(checkpoint, goal, rows)
        scores_by_token.append(tokens)
        losses.append(loss)
    by_step = torch.stack([torch.stack([row.sum() for row in own]) for own in scores_by_token])
    if alike:
        weights = weights / by_step.std(1, correction=0).clamp(min=1e-30)
    scores = weights @ by_step
    strongest = _strongest(scores, k)
    twins = untrained_twins(model, untrained, seed)
    with progress_range((last + 1) / (last + 2), 1.0, "controls: "):
        controls = [_scores(twin, goal, rows) for twin in twins]
        shuffled = _scores(checkpoint, goal, shuffled_rows(rows[:SHUFFLED], seed))
    return Influence(
        tokens=displayed(model.tokenizer, pair.prompt),
        answer="".join(displayed(model.tokenizer, pair.answer)),
        against="".join("".join(displayed(model.tokenizer, each.answer)) for each in wrong),
        steps=chosen,
        losses=torch.tensor(losses),
        texts=texts,
        weights=weights,
        scores=scores,
        by_step=by_step,
        overlap=_word_overlap(rows, sum((each.answer for each in goal), pair.prompt)),
        untrained=torch.stack(controls) if controls else scores[None][:0],
        shuffled=shuffled,
        strongest=strongest,
        parts=tuple(
            (
                displayed(model.tokenizer, rows[i][1:]),
                sum(w * own[i] for w, own in zip(weights.tolist(), scores_by_token, strict=True)),
            )
            for i in strongest
        ),
        provenance=provenance(influence, call, prompt=model.tokenizer.decode(list(pair.prompt))),
    )


def _steps(model: LanguageModel, steps: Sequence[int], most: int) -> tuple[int, ...]:
    """The checkpoints; the first weights have learned from nothing, so they are left out."""
    history = getattr(model, "history", None) or {}
    if not steps and len(history) < 2:
        return ()
    return chosen_steps(model, steps or [step for step in history if step > 0], most)


def _goal(
    model: LanguageModel, right: PromptAnswer, against: str | None
) -> tuple[PromptAnswer, ...]:
    """The right answer, and the wrong one where one is compared with."""
    if against is None:
        return (right,)
    wrong = PromptAnswer.of(model, list(right.prompt), against)
    if wrong.answer == right.answer:
        raise ConfigError(
            f"A contrast needs two answers; {model.tokenizer.decode(list(right.answer))!r} is both "
            "the right one and the one it is compared with. Give answer= or against= another."
        )
    return right, wrong


def _announce(
    model: LanguageModel,
    goal: Sequence[PromptAnswer],
    rows: Sequence[Sequence[int]],
    checkpoints: int,
    untrained: int,
) -> None:
    batches, readings = list(text_batches(model, rows)), checkpoints + untrained
    tokens = max(batch.tokens.numel() for batch in batches)
    shuffled = min(1.0, SHUFFLED / len(rows))
    # A pass with slopes computes twice what a plain one does, and holds every tensor twice.
    passes = 2 * len(batches) * (readings + shuffled)
    answer = len(goal) * max(len(pair.prompt) + len(pair.answer) for pair in goal)
    announce(
        model,
        Passes(count=passes, tokens=tokens, width=max(map(len, rows)), logits=2 * tokens),
        Passes(count=readings + 1, tokens=answer, logits=answer, gradients=True),
        copies=1 + min(untrained, 2),
        draws=untrained,
        smaller="Give fewer or shorter texts (texts=, n_stories=), or fewer checkpoints.",
    )


def _per_token(
    model: LanguageModel, goal: Sequence[PromptAnswer], rows: Sequence[Sequence[int]]
) -> tuple[list[Float[Tensor, " pos"]], float]:
    """What each predicted token of each text adds to its score; the right answer's loss."""
    direction, loss = _gradient_of(model, goal)
    scores = TokenValues(rows)
    done = 0
    for batch in text_batches(model, rows):
        report_progress("reading the texts", done, len(rows))
        scores.put(batch, _gradient_products(model, direction, batch).float())
        done += len(batch.numbers)
    return scores.rows, loss


def _scores(
    model: LanguageModel, goal: Sequence[PromptAnswer], rows: Sequence[Sequence[int]]
) -> Float[Tensor, " text"]:
    return torch.stack([row.sum() for row in _per_token(model, goal, rows)[0]])


def _strongest(scores: Float[Tensor, " text"], k: int) -> tuple[int, ...]:
    """The numbers of the `k` largest and the `k` smallest, in order, each once."""
    order = scores.argsort(descending=True).tolist()
    return tuple(order[:k] + order[max(k, len(order) - k) :])


def _rank_correlation(first: Tensor, second: Tensor) -> float:
    """Spearman's; nan where there is too little to rank."""
    if len(first) < 3:
        return float("nan")
    return spearman(first, second, n_boot=2).value


def _gradient_of(model: LanguageModel, goal: Sequence[PromptAnswer]) -> tuple[Parameters, float]:
    """The gradient of the right answer's loss less the wrong one's, and the right one's nats."""
    shell = shell_of(model)
    params = parameters_of(model, shared=True)
    nats = [0.0]

    def loss(p: Parameters) -> Tensor:
        right, *wrong = answer_loss(shell, p, goal).loss
        nats[0] = float(right.detach())
        return right - sum(wrong)

    return gradient(loss, params)[1], nats[0]


def _gradient_products(
    model: LanguageModel, direction: Parameters, batch: TextBatch
) -> Float[Tensor, "batch pos-1"]:
    """The gradient of each predicted token's loss, times a direction, summed over all weights."""
    # To first order a step of size lr on a text, -lr * g(text), changes the mistake's loss by
    # -lr * g(text) . g(mistake). The dot product of a text's gradient with a fixed vector is the
    # derivative of the text's loss in that direction: forward-mode differentiation gives it for
    # every token of a batch in one pass, so no text's gradient is ever written down.
    params = {name: p.detach() for name, p in parameters_of(model, shared=True).items()}
    # The fused attention kernels have no forward-mode derivative; the plain one has.
    with _ONE_AT_A_TIME, sdpa_kernel(SDPBackend.MATH):
        _, slopes = jvp(lambda p: losses_of(model, p, batch.tokens), (params,), (direction,))
    return slopes.detach() * batch.weights[:, 1:]


def _word_overlap(rows: Sequence[Sequence[int]], mistake: Sequence[int]) -> Float[Tensor, " text"]:
    """Cosine of the tokens that a text and the mistake hold, rare tokens counting more.

    The simplest guess at what a mistake was learned from: the text with the same words.
    """
    size = 1 + max(max(mistake), *(max(row) for row in rows))
    counts = torch.stack([torch.bincount(torch.tensor(row), minlength=size) for row in rows])
    own = torch.bincount(torch.tensor(mistake), minlength=size)
    # Inverse document frequency; the ones keep a token that no text, or every text, holds finite.
    rarity = ((1 + len(rows)) / (1 + (counts > 0).sum(0))).log()
    return torch.nn.functional.cosine_similarity(counts * rarity, (own * rarity)[None], dim=1)
