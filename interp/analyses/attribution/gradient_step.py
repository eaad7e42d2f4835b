"""One gradient step on one mistake: predicted, done, which parts moved, and what else changed.

The steps are taken on a copy, in double precision for models of up to 5 million parameters. AdamW
starts with a fresh state, so its first step moves every weight by the step size: only the
gradient's sign counts. With plain SGD a part's share of the update and of the predicted gain are
the same number, since update and gradient are.

Control: updates as long in random directions, and the untouched prompts. The error of the
first-order prediction (gradient times step) shrinks with the square of the step size, which the
caption checks on this very prompt, and with the cube once curvature is counted.

Units: nats of the whole answer, its tokens summed; probabilities in [0, 1]; KL(before || after) in
nats. n = 1 prompt, so no interval.

    interp run gradient_step --prompt "It is a sunny morning. Anna is in the" --answer " garden"
        --lr 0.003 --world stories
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from interp.analyses.attribution._gradient_steps import (
    GradientSteps,
    Loss,
    Optimizer,
    curvature,
    dot,
    gradient_steps,
    plus,
)
from interp.analyses.attribution._parameter_sums import calls_by_part
from interp.analyses.attribution._part_contributions import part_contributions
from interp.core.cost import Passes, announce
from interp.core.display import percent
from interp.core.errors import ConfigError
from interp.core.progress import report_progress
from interp.core.protocols import LanguageModel, Prompt
from interp.methods.data.answer_loss import AnswerLoss, PromptAnswer, answer_loss, held_out_pairs
from interp.methods.distributions import followed_tokens, kl_divergence
from interp.methods.parameters import Parameters, parameters_of, shell_of
from interp.methods.prompts import displayed
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.worlds.world import World

EXACT_UP_TO = 5_000_000
N_UNTOUCHED = 5
MULTIPLES = tuple(10 ** (i / 2 - 3) for i in range(9))
WORDS = {
    "sgd": "Stochastic gradient descent without momentum: step = -size times gradient.",
    "adamw": "AdamW with a fresh state and no weight decay: its first step moves every weight that "
    "has a gradient by the step size, whatever the gradient's length (the sign alone counts).",
}


@dataclass(frozen=True, kw_only=True)
class GradientStep(Result):
    """What some steps towards one answer did to the model.

    Attributes:
        tokens: the prompt's tokens, for display.
        answer: the right answer, for display.
        optimizer: the optimizer that took the steps, `sgd` or `adamw`.
        lr: step size.
        steps: how many steps were taken; 0 = none yet.
        candidates: the best next tokens before and after, and the answer's first, for display.
        right: the number of the answer's first token among `candidates`.
        before: the candidates' probabilities before the steps.
        after: the candidates' probabilities after the steps.
        losses: nats of the whole answer, before and after each step.
        predicted: gradient times update of each step: the first-order change of the loss. Without
            steps, that of the step to come.
        curved: the change by the first step with curvature: the second-order prediction.
        sizes: the step sizes that the first step was tried at.
        tried: the change of the loss at each of the sizes.
        tried_first: the first-order prediction at each of the sizes.
        tried_second: the second-order prediction at each of the sizes.
        order: power of the step size with which the first-order error shrinks; nan where it is
            lost in rounding.
        gradient_norm: length of the gradient before the steps.
        update_norm: length of all steps together.
        random_loss: changes of the loss by updates of equal length in random directions.
        part_kinds: kind of each part.
        parts: names of the parts that moved most, by kind.
        moved: each part's share of the squared update (of the coming one while there is none).
        gained: each part's share of the predicted gain.
        untouched: prompts that no step was for.
        untouched_answers: the right answers of the untouched prompts, for display.
        untouched_loss: nats of the untouched prompts' answers, before and after.
        untouched_tops: the untouched prompts' best next tokens, before and after.
        untouched_probabilities: the probabilities of `untouched_tops`.
        untouched_kl: KL(before || after) of the untouched prompts' next tokens, nats.
        computed: the number format of the computation: `float64` or `float32`.
    """

    tokens: tuple[str, ...]
    answer: str
    optimizer: str
    lr: float
    steps: int
    candidates: tuple[str, ...]
    right: int
    before: Float[Tensor, " k"]
    after: Float[Tensor, " k"]
    losses: tuple[float, ...]
    predicted: tuple[float, ...]
    curved: float
    sizes: tuple[float, ...]
    tried: tuple[float, ...]
    tried_first: tuple[float, ...]
    tried_second: tuple[float, ...]
    order: float
    gradient_norm: float
    update_norm: float
    random_loss: tuple[float, ...]
    part_kinds: tuple[str, ...]
    parts: tuple[str, ...]
    moved: Float[Tensor, " part"]
    gained: Float[Tensor, " part"]
    untouched: tuple[str, ...]
    untouched_answers: tuple[str, ...]
    untouched_loss: Float[Tensor, "prompt when=2"]
    untouched_tops: tuple[tuple[str, str], ...]
    untouched_probabilities: Float[Tensor, "prompt when=2"]
    untouched_kl: Float[Tensor, " prompt"]
    computed: str
    columns: ClassVar = {
        "probability_before": "before",
        "probability_after": "after",
        "loss_nats": "losses",
        "predicted_change_nats": "predicted",
        "tried_change_nats": "tried",
        "tried_change_nats_first_order": "tried_first",
        "tried_change_nats_second_order": "tried_second",
        "random_change_nats": "random_loss",
        "share_of_update": "moved",
        "share_of_predicted_gain": "gained",
        "untouched_loss_nats": "untouched_loss",
        "untouched_best_probability": "untouched_probabilities",
        "untouched_kl_nats": "untouched_kl",
    }
    axes: ClassVar = {
        "losses": "step",
        "predicted": "update",
        "tried": "size",
        "tried_first": "size",
        "tried_second": "size",
        "random_loss": "draw",
    }
    labels: ClassVar = {
        "token": ("k", "candidates"),
        "size": ("size", "sizes"),
        "part": ("part", "parts"),
        "kind": ("part", "part_kinds"),
        "prompt": ("prompt", "untouched"),
        "when": ("when", ("before", "after")),
        "best_token": ("prompt when", "untouched_tops"),
    }

    @property
    def change(self) -> float:
        """Of the loss by all steps, nats."""
        return self.losses[-1] - self.losses[0]

    @property
    def turned(self) -> int:
        """How many untouched prompts have another best token than before."""
        return sum(before != after for before, after in self.untouched_tops)

    def finding(self) -> str:
        how = f"{self.optimizer_name} step{'s' * (self.steps != 1)} of {self.lr:g}"
        if not self.steps:
            return (
                f"Nothing has moved yet: {self.answer!r} has {percent(self.before[self.right], 2)} "
                f"and a loss of {self.losses[0]:.3f} nats. One {self.optimizer_name} step of "
                f"{self.lr:g} is predicted to change it by {self.predicted[0]:+.4g} nats by the "
                f"gradient alone, {self.curved:+.4g} with curvature."
            )
        return (
            f"{self.steps} {how} took {self.answer!r} from {percent(self.before[self.right], 2)} "
            f"to {percent(self.after[self.right], 2)}: its loss changed by {self.change:+.4g} nats "
            f"({sum(self.predicted):+.4g} predicted by the gradient; "
            f"{self._beside()}). {self._elsewhere()}"
        )

    @property
    def optimizer_name(self) -> str:
        """As people write it."""
        return {"sgd": "SGD", "adamw": "AdamW"}[self.optimizer]

    def _beside(self) -> str:
        if not self.random_loss:
            return "no control"
        low, high = min(self.random_loss), max(self.random_loss)
        return f"{len(self.random_loss)} random directions as long: {low:+.2g} to {high:+.2g}"

    def _elsewhere(self) -> str:
        if not self.untouched:
            return "No other prompt was watched."
        change = self.untouched_loss.diff(dim=1)
        several = len(self.untouched) > 1
        span = f" in the mean ({change.min():+.2g} to {change.max():+.2g})" if several else ""
        return (
            f"On {len(self.untouched)} prompt{'s' * several} that it was not for, the loss of the "
            f"right answer changed by {change.mean():+.3g} nats{span}, and "
            f"{self.turned} best answer{'s' * (self.turned != 1)} turned into another."
        )

    def caption(self) -> str:
        near = "lost in rounding" if math.isnan(self.order) else f"size to the {self.order:.2f}"
        return (
            f"{self.finding()} {WORDS[self.optimizer]} The loss is that of the whole answer, its "
            "tokens summed, and the whole model moves; computed on a copy in "
            f"{self.computed}. First order says gradient times step; its error for the first step "
            f"shrinks as {near} (2 is what calculus says). Controls: {len(self.random_loss)} "
            "updates as long in random directions, once a step is taken. n = 1 prompt, so no "
            "interval: what a step does elsewhere depends on the prompt."
        )


def gradient_step(
    model: LanguageModel,
    prompt: Prompt,
    *,
    answer: str = "",
    lr: float = 0.01,
    optimizer: Optimizer = "sgd",
    steps: int = 1,
    untouched: Sequence[str] = (),
    untouched_answers: Sequence[str] = (),
    world: World | None = None,
    k: int = 8,
    n_random: int = 4,
    seed: int = 0,
) -> GradientStep:
    """Teach a copy of the model one answer by gradient steps, and see what changes.

    Args:
        model: one of this package's own layout; it is not changed.
        prompt: one text, or the ids of one row.
        answer: the right continuation (the space before a word may be left out); empty = the
            model's own second choice.
        lr: step size.
        optimizer: `sgd` without momentum, or `adamw` with a fresh state and no weight decay.
        steps: how many, one after the other; 0 = only say what the first would do.
        untouched: prompts that the steps are not for; none = five held-out questions of the world.
        untouched_answers: their right answers, one each; none = what the model says before.
        world: the world whose questions are taken.
        k: best tokens that are followed.
        n_random: random directions to compare with.
        seed: the seed of the questions and of the random directions.
    Returns:
        GradientStep: probabilities and losses before and after, predictions, parts, other prompts.
    Raises:
        TokenError: a text cannot be read, or does not fit.
        ConfigError: an option out of its range, a loss that grew beyond all numbers, or a model
            whose parameters cannot be followed.
        NotEnoughDataError: the world asks too little.
    Example:
        >>> gradient_step(model, "It is a rainy night. Ben is", answer=" happy")  # doctest: +SKIP
    Source:
        Rumelhart, Hinton and Williams 1986, "Learning representations by back-propagating errors";
        Loshchilov and Hutter 2019 (AdamW). Theirs average over many examples; ours is of one.
    """
    call = dict(locals())
    _check(lr, steps, k, n_random)
    pair = PromptAnswer.of(model, prompt, answer, rank=1)
    texts, others = _others(model, pair, untouched, untouched_answers, world, seed)
    announce(
        model,
        Passes(count=max(steps, 1) + 2, tokens=_size([pair]), logits=_size([pair]), gradients=True),
        Passes(count=n_random + 8, tokens=_size([pair, *others]), logits=_size([pair, *others])),
        copies=(3 + 2 * (optimizer == "adamw") + 2 * (steps > 1)) * _precision(model).itemsize / 4,
        calls=calls_by_part(model),
        draws=n_random,
        smaller="Give a shorter prompt, fewer steps (steps=) or the optimizer sgd.",
    )
    shell, start = shell_of(model), parameters_of(model, dtype=_precision(model), shared=True)

    def loss(params: Parameters) -> Tensor:
        return answer_loss(shell, params, [pair]).loss[0]

    report_progress("the steps", 0, 4)
    trajectory = gradient_steps(loss, start, optimizer, lr, max(steps, 1))
    end, update = trajectory.end if steps else start, trajectory.first
    if steps > 1:
        update = {name: end[name] - start[name].detach() for name in end}
    report_progress("where the step went", 1, 4)
    contributions = part_contributions(model, update, trajectory.gain)
    trajectory.gain.clear()
    with torch.no_grad():
        before, after = (answer_loss(shell, params, [pair, *others]) for params in (start, end))
        trajectory.end.clear()
        report_progress("the step at other sizes", 2, 4)
        tried = _tried(loss, start, trajectory, lr)
        random_loss = []
        for number in range(n_random if steps else 0):
            report_progress("random directions", 3 + number / n_random, 4)
            # Without a name, so that it is gone before the next one is drawn.
            moved_loss = float(loss(_moved_at_random(start, update, seed + number)))
            random_loss.append(moved_loss - trajectory.losses[0])
    return GradientStep(
        tokens=displayed(model.tokenizer, pair.prompt),
        answer="".join(displayed(model.tokenizer, pair.answer)),
        optimizer=optimizer,
        lr=lr,
        steps=steps,
        **_candidates(model, pair, before, after, k),
        losses=trajectory.losses[: steps + 1],
        predicted=trajectory.predicted,
        **tried,
        gradient_norm=trajectory.gradient_norm,
        update_norm=dot(update, update) ** 0.5 if steps else 0.0,
        random_loss=tuple(random_loss),
        **contributions,
        untouched=tuple(texts),
        **_elsewhere(model, others, before, after),
        computed=str(start[next(iter(start))].dtype).removeprefix("torch."),
        provenance=provenance(gradient_step, call),
    )


def _check(lr: float, steps: int, k: int, n_random: int) -> None:
    if not (lr > 0 and math.isfinite(lr)) or steps < 0 or k < 1 or n_random < 0:
        raise ConfigError(
            "A step needs a size lr above 0, steps and n_random of 0 or more, and k of 1 or more; "
            f"got lr = {lr:g}, steps = {steps}, n_random = {n_random}, k = {k}."
        )


def _size(pairs: Sequence[PromptAnswer]) -> int:
    """Tokens of a pass over all pairs, padded to the longest."""
    return len(pairs) * max(len(pair.prompt) + len(pair.answer) for pair in pairs)


def _precision(model: LanguageModel) -> torch.dtype:
    """Double precision where it costs little, so that small changes are not lost in rounding."""
    weights = sum(p.numel() for p in parameters_of(model, shared=True).values())
    exact = weights <= EXACT_UP_TO and model.device.type != "mps"
    return torch.float64 if exact else torch.float32


def _others(
    model: LanguageModel,
    pair: PromptAnswer,
    untouched: Sequence[str],
    answers: Sequence[str],
    world: World | None,
    seed: int,
) -> tuple[list[str], list[PromptAnswer]]:
    """The untouched prompts: those given, or held-out questions of the world, or none."""
    if not untouched and world is not None:
        return held_out_pairs(model, world, N_UNTOUCHED, seed=seed, without=[pair.prompt])
    if answers and len(answers) != len(untouched):
        raise ConfigError(
            f"Each untouched prompt needs its right answer, or none of them; got {len(untouched)} "
            f"prompts and {len(answers)} answers."
        )
    pairs = zip(untouched, answers or [""] * len(untouched), strict=True)
    return list(untouched), [PromptAnswer.of(model, text, answer) for text, answer in pairs]


def _candidates(
    model: LanguageModel, pair: PromptAnswer, before: AnswerLoss, after: AnswerLoss, k: int
) -> dict[str, object]:
    """The best tokens before, then those that became it; the answer's among them."""
    ids = followed_tokens(before.log_probs[0], after.log_probs[0], pair.answer[0], k)
    return {
        "candidates": displayed(model.tokenizer, ids),
        "right": ids.index(pair.answer[0]),
        "before": before.log_probs[0, ids].exp(),
        "after": after.log_probs[0, ids].exp(),
    }


def _tried(
    loss: Loss, start: Parameters, trajectory: GradientSteps, lr: float
) -> dict[str, object]:
    """The first step at other sizes: it is linear in the size, so only its length changes."""
    dtype = next(iter(start.values())).dtype
    with torch.enable_grad():
        # A short way keeps the difference's own error small, but loses digits to rounding: single
        # precision needs a longer one.
        bend = curvature(loss, start, trajectory.first, 1e-3 if dtype == torch.float64 else 1e-2)
    # Taylor: loss(start + s * step) - loss(start) = s * gradient . step + s^2 / 2 * step' H step.
    base, slope = trajectory.losses[0], trajectory.predicted[0]
    tried = [float(loss(plus(start, trajectory.first, share))) - base for share in MULTIPLES]
    first = [share * slope for share in MULTIPLES]
    return {
        "curved": slope + bend / 2,
        "sizes": tuple(share * lr for share in MULTIPLES),
        "tried": tuple(tried),
        "tried_first": tuple(first),
        "tried_second": tuple(share * slope + share**2 * bend / 2 for share in MULTIPLES),
        "order": _order(tried, first, 1e3 * torch.finfo(dtype).eps * max(abs(base), 1.0)),
    }


def _order(tried: Sequence[float], first: Sequence[float], noise: float) -> float:
    """The power by which the error grows with the size, at the two smallest sizes above noise.

    The first-order error is c * size^2 plus higher powers, so on a log-log plot its slope tends to
    2 as the size shrinks, until rounding drowns it.
    """
    errors = [abs(a - b) for a, b in zip(tried, first, strict=True)]
    clear = [i for i, error in enumerate(errors) if error > noise and math.isfinite(error)][:2]
    if len(clear) < 2:
        return math.nan
    low, high = clear
    return math.log(errors[high] / errors[low]) / math.log(MULTIPLES[high] / MULTIPLES[low])


def _moved_at_random(start: Parameters, update: Parameters, seed: int) -> Parameters:
    """The parameters after an update as long in a direction that nothing chose."""
    random = torch.Generator().manual_seed(seed)
    # Independent normal numbers have no preferred direction: their length alone needs setting.
    direction = {
        name: torch.randn(value.shape, generator=random).to(value) for name, value in update.items()
    }
    length = (dot(update, update) / dot(direction, direction)) ** 0.5
    return plus(start, direction, length)


def _elsewhere(
    model: LanguageModel, others: Sequence[PromptAnswer], before: AnswerLoss, after: AnswerLoss
) -> dict[str, object]:
    """What the untouched prompts say before and after."""
    log_probs = [reading.log_probs[1:] for reading in (before, after)]
    best = torch.stack([each.argmax(-1) for each in log_probs], 1)
    chances = torch.stack([each.amax(-1) for each in log_probs], 1).exp()
    return {
        "untouched_answers": tuple(
            "".join(displayed(model.tokenizer, pair.answer)) for pair in others
        ),
        "untouched_loss": torch.stack([before.loss[1:], after.loss[1:]], 1),
        "untouched_tops": tuple(displayed(model.tokenizer, pair) for pair in best.tolist()),
        "untouched_probabilities": chances,
        "untouched_kl": kl_divergence(*log_probs).clamp(min=0),
    }
