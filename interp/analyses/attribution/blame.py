"""Which parameters one mistake comes from: by gradient, gradient times weight, and history.

The path is each weight's share of how training changed this answer since the first weights, as in
`loss_change_allocation`. For the single weights that count most by gradient times weight it also
measures what truly happens to the loss without each.

Control: the gradient's lengths in untrained models of the same config, what the path's shares miss
of the true change, and how far those of any part are from what half the gradients say. Gradient
times weight would sum to the loss only for a function that is homogeneous in its weights; the
caption prints both numbers.

Units: nats of the whole answer (gradients: nats per unit of weight). Above zero, a part raises the
loss of the right answer.

    interp run blame --prompt "It is a sunny morning. Anna is in the garden. Where is Anna?"
        --answer " Garden"
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from interp.analyses.attribution._gradient_steps import gradient
from interp.analyses.attribution._loss_path_integral import MOST_POINTS, PathIntegral, path_integral
from interp.analyses.attribution._parameter_sums import (
    ComponentSums,
    Weight,
    calls_by_part,
    component_sums,
    largest,
    layer_names,
    precise_parameters,
    stacked_fields,
    weight_names,
)
from interp.core.cost import Passes, announce
from interp.core.display import percent
from interp.core.progress import report_progress
from interp.core.protocols import LanguageModel, Prompt
from interp.methods.data.answer_loss import AnswerLoss, PromptAnswer, answer_loss, mistake_of
from interp.methods.parameters import Parameters, parameters_of, shell_of
from interp.methods.prompts import displayed
from interp.methods.untrained import untrained_twins
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.worlds.world import World

MEASURES = ("gradient", "gradient_times_weight", "path")


@dataclass(frozen=True, kw_only=True)
class Blame(Result):
    """What each part has to do with the loss of one right answer.

    The first axis of all numbers is the measure: `gradient` = length of the gradient; the sum of
    gradient times weight; and the share of the change since the first weights, which is nan where
    there are no checkpoints or no path was asked for. The last two have a sign: above zero, they
    raise the loss.

    Attributes:
        tokens: the prompt's tokens, for display.
        answer: the right answer, for display.
        said: the model's own first choice, for display.
        said_probability: the probability of `said`.
        loss_nats: the loss of the right answer.
        first_step: step of the first weights; None without checkpoints, or where no path was asked.
        first_loss: the loss of the right answer under the first weights.
        totals: length of the whole gradient; the sum of gradient times weight; the sum of shares.
        points: how many gradients were taken along the line from the first weights.
        tensors: the tensors' names.
        layers: the layers' names: embedding, each layer, unembedding (with the final norm).
        by_tensor: each tensor's number, in nats; the gradient in nats per unit of weight.
        by_layer: each layer's number, in the units of `by_tensor`.
        by_head: each head's number, in the units of `by_tensor`; without shared keys and values.
        by_neuron: each neuron's number, in the units of `by_tensor`.
        vocabulary: for each measure, the tokens whose embeddings count most.
        by_vocabulary: the numbers of the tokens in `vocabulary`.
        weights: for each measure, the names of the single weights that count most.
        by_weight: the numbers of the weights in `weights`.
        without: the true change of the loss when each of the weights that count most by gradient
            times weight is set to zero.
        untrained: `by_tensor` of the gradient in untrained models of the same config.
        part_error: the largest difference of any tensor's, layer's, head's, neuron's or token's
            share of the path from what half as many gradients say; nan with fewer than 10.
    """

    tokens: tuple[str, ...]
    answer: str
    said: str
    said_probability: float
    loss_nats: float
    first_step: int | None
    first_loss: float
    totals: Float[Tensor, " measure"]
    points: int
    tensors: tuple[str, ...]
    layers: tuple[str, ...]
    by_tensor: Float[Tensor, "measure tensor"]
    by_layer: Float[Tensor, "measure part"]
    by_head: Float[Tensor, "measure layer head"]
    by_neuron: Float[Tensor, "measure layer neuron"]
    vocabulary: tuple[tuple[str, ...], ...]
    by_vocabulary: Float[Tensor, "measure k"]
    weights: tuple[tuple[str, ...], ...]
    by_weight: Float[Tensor, "measure weight"]
    without: Float[Tensor, " removed"]
    untrained: Float[Tensor, "seed tensor"]
    part_error: float = math.nan
    labels: ClassVar = {
        "measure": ("measure", MEASURES),
        "tensor": ("tensor", "tensors"),
        "part": ("part", "layers"),
        "token": ("measure k", "vocabulary"),
        "weight": ("measure weight", "weights"),
        "removed": ("removed", "removed"),
    }

    @property
    def removed(self) -> tuple[str, ...]:
        """Names of the weights that `without` is about."""
        return self.weights[MEASURES.index("gradient_times_weight")]

    @property
    def residual(self) -> float:
        """What the shares miss of the true change, as a share of it or of the loss, if larger."""
        change = self.loss_nats - self.first_loss
        return (float(self.totals[2]) - change) / max(abs(change), self.loss_nats)

    def finding(self) -> str:
        longest = int(self.by_tensor[0].argmax())
        summary = (
            f"Blame: the right answer {self.answer!r} costs {self.loss_nats:.2f} nats; the model "
            f"says {self.said!r} ({percent(self.said_probability)}). {self.tensors[longest]} has "
            f"the longest gradient ({self.by_tensor[0, longest]:.3g} of {self.totals[0]:.3g} in "
            f"all; {self._beside(longest)})."
        )
        if self.first_step is None:
            return summary
        worst = int(self.by_tensor[2].argmax())
        return (
            f"{summary} Since step {self.first_step} its loss went from {self.first_loss:.2f}; "
            f"{self.tensors[worst]} raised it most ({self.by_tensor[2, worst]:+.2f}). These shares "
            f"add up to within {percent(abs(self.residual), 2)} of the loss."
        )

    def _part_error(self) -> str:
        if math.isnan(self.part_error):
            return "how far single shares are off is not known"
        return f"half as many change no part's share by more than {self.part_error:.2g} nats"

    def _beside(self, tensor: int) -> str:
        if not len(self.untrained):
            return "no control"
        share = (self.untrained[:, tensor] / self.untrained.norm(dim=1)).mean()
        return f"untrained: {percent(share)} of the whole"

    def caption(self) -> str:
        path = "There is no path: no history, or none asked for. "
        if self.first_step is not None:
            path = (
                f"The path's shares are an integral over {self.points} gradients, on the straight "
                "line from the first weights to these, not on the way that training took; "
                f"{self._part_error()}. "
            )
        return (
            f"{self.finding()} Gradient times weight sums to {self.totals[1]:+.2f}, not to the "
            f"loss of {self.loss_nats:.2f}: it would only for a loss that is homogeneous in its "
            "weights, which this is not; it says what a small change of a weight's size does. "
            f"{path}Above zero, a part raises the loss of the right answer. n = one prompt of "
            f"{len(self.tokens)} tokens, so no interval."
        )


def blame(
    model: LanguageModel,
    *,
    prompt: Prompt = "",
    answer: str = "",
    world: World | None = None,
    path: bool = True,
    tolerance: float = 0.002,
    most_points: int = MOST_POINTS,
    k: int = 20,
    untrained: int = 2,
    seed: int = 0,
) -> Blame:
    """Tell how each parameter is involved in one mistake.

    Args:
        model: opened from a run with checkpoints, or any model: then there is no path.
        prompt: what the model goes on from wrongly; empty = the worst answered of `world`'s
            held-out questions.
        answer: the right one (the space before a word may be left out); empty = the model's own
            second choice.
        world: the world that asks, where no prompt is given.
        path: whether to walk from the first weights to these, which takes longest.
        tolerance: how near the path's shares must add up to the true change, as a share of it (or
            of the loss, where that is larger).
        most_points: gradients along the path at most, 4 or more; the result says what is missed.
            Errors by part need 10.
        k: how many single weights and tokens to name.
        untrained: untrained models of the same config to compare with, where they can be made.
        seed: the seed of the untrained models and the questions.
    Returns:
        Blame: three measures by tensor, layer, head, neuron, token and single weight.
    Raises:
        NotEnoughDataError: the world asks nothing.
        TokenError: the prompt or the answer cannot be read.
        ConfigError: neither prompt nor world, or a model whose parameters cannot be named.
    Example:
        >>> prompt, answer = "It is a rainy night. Ben is in the", " garden"  # doctest: +SKIP
        >>> blame(model, prompt=prompt, answer=answer).weights  # doctest: +SKIP
    Source:
        Lan et al. 2019, arXiv 1909.01440, for the shares of a loss (theirs of a data set, ours of
        one answer); Sundararajan et al. 2017, "Axiomatic Attribution for Deep Networks", for the
        straight line (theirs over inputs, ours over weights).
    """
    call = dict(locals())
    pair = mistake_of(model, prompt, answer, world, seed)
    now = precise_parameters(model)
    _announce(model, now, pair, most_points if path else 0, k, untrained)
    report_progress("the gradient", 0, 4)
    said, grads = _gradient(model, now, pair)
    loss = float(said.loss[0])
    lengths = _lengths(model, grads)
    whole = math.hypot(*lengths.tensors.values())
    measures = [_rows(model, lengths, whole, largest(grads, k), k)]
    # In a large model each copy of the weights counts: the gradient is written over.
    times = {name: grad.mul_(now[name].detach()) for name, grad in grads.items()}
    measures.append(_sums(model, times, k))
    report_progress("single weights", 1, 4)
    without = _without(model, now, pair, largest(times, k), loss)
    del grads, times
    report_progress("the way from the first weights", 2, 4)
    integral = _integral(model, now, pair, tolerance, most_points, loss) if path else None
    measures.append(_sums(model, integral.shares, k) if integral else _unknown(measures[1]))
    report_progress("controls", 3, 4)
    controls = [
        torch.tensor([*_lengths(twin, _gradient(twin, own, pair)[1]).tensors.values()])
        for twin in untrained_twins(model, untrained, seed)
        for own in [precise_parameters(twin)]
    ]
    best = int(said.log_probs[0].argmax())
    return Blame(
        tokens=displayed(model.tokenizer, pair.prompt),
        answer="".join(displayed(model.tokenizer, pair.answer)),
        said=displayed(model.tokenizer, [best])[0],
        said_probability=float(said.log_probs[0, best].exp()),
        loss_nats=loss,
        first_step=next(iter(model.history)) if integral else None,
        first_loss=integral.start if integral else math.nan,
        points=integral.points if integral else 0,
        tensors=tuple(lengths.tensors),
        layers=layer_names(model),
        **stacked_fields(measures),
        without=without,
        untrained=torch.stack(controls) if controls else measures[0]["by_tensor"][None][:0],
        part_error=float(integral.part_errors.max()) if integral else math.nan,
        provenance=provenance(blame, call, prompt=model.tokenizer.decode(list(pair.prompt))),
    )


def _announce(
    model: LanguageModel, now: Parameters, pair: PromptAnswer, points: int, k: int, untrained: int
) -> None:
    tokens = len(pair.prompt) + len(pair.answer)
    if next(iter(getattr(model, "history", None) or {}), model.step) == model.step:
        points = 0
    passes = dict(tokens=tokens, logits=tokens)
    # A gradient and an untrained model; on the path the two ends, a point, gradients and sums.
    announce(
        model,
        Passes(count=1 + untrained + points, gradients=True, **passes),
        Passes(count=1 + untrained + k + points, **passes),
        copies=(6 if points else 2) * next(iter(now.values())).element_size() / 4,
        calls=calls_by_part(model) * (1 + points / 9),  # a row of the parts every third gradient
        draws=untrained,
        smaller="Give a shorter prompt, fewer weights (k=), or leave out the path (path=False).",
    )


def _loss(model: LanguageModel, pair: PromptAnswer) -> Callable[[Parameters], AnswerLoss]:
    shell = shell_of(model)
    return lambda params: answer_loss(shell, params, [pair])


def _gradient(
    model: LanguageModel, params: Parameters, pair: PromptAnswer
) -> tuple[AnswerLoss, Parameters]:
    """What the model says of the pair, and the gradient of the answer's loss."""
    says = _loss(model, pair)
    with torch.no_grad():
        said = says(params)
    return said, gradient(lambda leaves: says(leaves).loss[0], params)[1]


def _integral(
    model: LanguageModel,
    now: Parameters,
    pair: PromptAnswer,
    tolerance: float,
    most: int,
    least: float,
) -> PathIntegral | None:
    """The path integral from the first checkpoint; None where there is no earlier one."""
    history = getattr(model, "history", None) or {}
    first = next(iter(history), None)
    if first is None or first == model.step:
        return None
    dtype = next(iter(now.values())).dtype
    start = parameters_of(history[first], dtype=dtype, shared=True)
    says = _loss(model, pair)

    def loss(params: Parameters) -> float:
        nats = says(params).loss[0]
        if nats.requires_grad:
            nats.backward()
        return float(nats.detach())

    def parts(shares: Parameters) -> Float[Tensor, " part"]:
        return component_sums(model, shares).row

    return path_integral(start, now, loss, parts, tolerance=tolerance, most=most, least=least)


def _sums(model: LanguageModel, numbers: Parameters, k: int) -> dict:
    """One measure's rows of the result's fields."""
    sums = component_sums(model, numbers)
    return _rows(model, sums, sum(sums.tensors.values()), largest(numbers, k), k)


def _lengths(model: LanguageModel, grads: Parameters) -> ComponentSums:
    """The length of each part's gradient."""
    # Lengths do not add up over parts; their squares do, so the root comes last.
    squares = component_sums(model, grads, of=torch.square)
    return ComponentSums(
        tensors={name: math.sqrt(value) for name, value in squares.tensors.items()},
        layers=squares.layers.sqrt(),
        heads=squares.heads.sqrt(),
        neurons=squares.neurons.sqrt(),
        tokens=squares.tokens.sqrt(),
    )


def _rows(
    model: LanguageModel, sums: ComponentSums, whole: float, best: list[Weight], k: int
) -> dict:
    tokens = sums.tokens.abs().topk(min(k, len(sums.tokens))).indices
    return {
        "totals": torch.tensor(whole),
        "by_tensor": torch.tensor(list(sums.tensors.values())),
        "by_layer": sums.layers,
        "by_head": sums.heads,
        "by_neuron": sums.neurons,
        "vocabulary": displayed(model.tokenizer, tokens.tolist()),
        "by_vocabulary": sums.tokens[tokens],
        "weights": weight_names(model, best),
        "by_weight": torch.tensor([value for _, _, value in best]),
    }


def _unknown(like: dict) -> dict:
    """Rows of a measure that could not be taken."""
    return {
        name: torch.full_like(value, math.nan) if isinstance(value, Tensor) else ()
        for name, value in like.items()
    }


@torch.no_grad()
def _without(
    model: LanguageModel, params: Parameters, pair: PromptAnswer, weights: list[Weight], loss: float
) -> Float[Tensor, " n"]:
    """The true change of the loss when each weight alone is set to zero, on a copy."""
    says, changes = _loss(model, pair), []
    for tensor, place, _ in weights:
        changed = params[tensor].detach().clone()
        changed.view(-1)[place] = 0
        changes.append(float(says(params | {tensor: changed}).loss[0]) - loss)
    return torch.tensor(changes)
