"""Which parameters one mistake comes from: by gradient, gradient times weight, and history."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from interp.analyses.attribution._loss_path_integral import MOST_POINTS, Line, along
from interp.analyses.attribution._parameter_sums import (
    Shares,
    Weight,
    largest,
    layer_names,
    named,
    shares_of,
    tensor_names,
)
from interp.core.progress import report_progress
from interp.core.protocols import LanguageModel, Prompt
from interp.methods.data.answer_loss import PromptAnswer, answer_loss
from interp.methods.data.hardest_questions import mistake_of
from interp.methods.parameters import Parameters, parameters_of, shell_of
from interp.methods.prompts import displayed
from interp.methods.untrained import untrained_twins
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.worlds.world import World

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("gradient", "gradient_times_weight", "path")
PRECISE_BELOW = 10_000_000


@dataclass(frozen=True, kw_only=True)
class Blame(Result):
    """What each part has to do with the loss of one right answer.

    The first axis of all numbers is the measure: `gradient` = length of the gradient; the sum of
    gradient times weight; and the share of the change since the first weights, which is nan where
    there are no checkpoints or no path was asked for. The last two have a sign: above zero, they
    raise the loss.

    Attributes:
        tokens: of the prompt, for display.
        answer: the right one, for display.
        said: the model's own first choice, for display.
        said_probability: its probability.
        loss_nats: of the right answer.
        first_step: of the first weights; None without checkpoints, or where no path was walked.
        first_loss: of the right answer under them.
        totals: length of the whole gradient; the sum of gradient times weight; the sum of shares.
        points: gradients taken along the line from the first weights.
        tensors: names.
        layers: names: embedding, each layer, unembedding (with the final norm).
        by_tensor: in nats; the gradient in nats per unit of weight.
        by_layer: likewise.
        by_head: likewise; without keys and values that heads share.
        by_neuron: likewise.
        vocabulary: of each measure, the tokens whose embeddings count most.
        by_vocabulary: theirs.
        weights: of each measure, names of the single weights that count most.
        by_weight: theirs.
        without: of the second measure's weights, what truly happens to the loss without each.
        untrained: `by_tensor` of the gradient in untrained models of the same config.
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
    by_weight: Float[Tensor, "measure n"]
    without: Float[Tensor, " n"]
    untrained: Float[Tensor, "seed tensor"]

    @property
    def residual(self) -> float:
        """What the shares miss of the true change, as a share of it or of the loss, if larger."""
        change = self.loss_nats - self.first_loss
        return (float(self.totals[2]) - change) / max(abs(change), self.loss_nats)

    def finding(self) -> str:
        longest = int(self.by_tensor[0].argmax())
        told = (
            f"Blame: the right answer {self.answer!r} costs {self.loss_nats:.2f} nats; the model "
            f"says {self.said!r} ({self.said_probability:.0%}). {self.tensors[longest]} has the "
            f"longest gradient ({self.by_tensor[0, longest]:.3g} of {self.totals[0]:.3g} in all; "
            f"{self._beside(longest)})."
        )
        if self.first_step is None:
            return f"{told} There is no path: no history, or none asked for."
        worst = int(self.by_tensor[2].argmax())
        return (
            f"{told} Since step {self.first_step} its loss went from {self.first_loss:.2f}; "
            f"{self.tensors[worst]} raised it most ({self.by_tensor[2, worst]:+.2f}). These shares "
            f"add up to within {abs(self.residual):.2%} of the loss."
        )

    def _beside(self, tensor: int) -> str:
        if not len(self.untrained):
            return "no control"
        share = (self.untrained[:, tensor] / self.untrained.norm(dim=1)).mean()
        return f"untrained: {share:.0%} of the whole"

    def caption(self) -> str:
        path = ""
        if self.first_step is not None:
            path = (
                "The path's shares are exact, on the straight line from the first weights to "
                "these, not on the way that training took. "
            )
        return (
            f"{self.finding()} Gradient times weight sums to {self.totals[1]:+.2f}, not to the "
            f"loss of {self.loss_nats:.2f}: it would only for a loss that is homogeneous in its "
            "weights, which this is not; it says what a small change of a weight's size does. "
            f"{path}Above zero, a part raises the loss of the right answer. n = one prompt of "
            f"{len(self.tokens)} tokens, so no interval."
        )

    def frame(self) -> "pd.DataFrame":
        import pandas as pd

        rows = []
        for i, measure in enumerate(MEASURES):
            groups = {
                "tensor": zip(self.tensors, self.by_tensor[i].tolist(), strict=True),
                "layer": zip(self.layers, self.by_layer[i].tolist(), strict=True),
                "head": _grid(self.by_head[i]),
                "neuron": _grid(self.by_neuron[i]),
                "token": zip(self.vocabulary[i], self.by_vocabulary[i].tolist(), strict=False),
                "weight": zip(self.weights[i], self.by_weight[i].tolist(), strict=False),
            }
            for kind, pairs in groups.items():
                rows += [(measure, kind, part, value) for part, value in pairs]
        removed = zip(self.weights[1], self.without.tolist(), strict=True)
        rows += [("true change without it", "weight", part, value) for part, value in removed]
        return pd.DataFrame(rows, columns=["measure", "kind", "part", "value"])


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
        answer: the right one, with the space before it; empty = the model's own second choice.
        world: that asks, where no prompt is given.
        path: whether to walk from the first weights to these, which takes longest.
        tolerance: how near the path's shares must add up to the true change, as a share of it (or
            of the loss, where that is larger).
        most_points: gradients along the path at most, 4 or more; what is missed then is told.
        k: how many single weights and tokens to name.
        untrained: untrained models of the same config to compare with, where they can be made.
        seed: of the untrained models and the questions.
    Returns:
        Blame: three measures by tensor, layer, head, neuron, token and single weight.
    Raises:
        NotEnoughDataError: the world asks nothing.
        TokenError: the prompt or the answer cannot be read.
        ConfigError: neither prompt nor world, or a model whose parameters cannot be named.
    Example:
        >>> blame(model, prompt="Anna is in the", answer=" garden").top  # doctest: +SKIP
    Source:
        Lan et al. 2019, arXiv 1909.01440, for the shares of a loss (theirs of a data set, ours of
        one answer); Sundararajan et al. 2017, "Axiomatic Attribution for Deep Networks", for the
        straight line (theirs over inputs, ours over weights).
    """
    call = dict(locals())
    pair = mistake_of(model, prompt, answer, world, seed)
    report_progress("the gradient", 0, 3)
    now = _precise(model)
    reading, grads = _gradient(model, now, pair)
    times = {name: grad * now[name].detach() for name, grad in grads.items()}
    report_progress("the way from the first weights", 1, 3)
    least = float(reading.loss[0])
    line = _line(model, now, pair, tolerance, most_points, least) if path else None
    report_progress("controls", 2, 3)
    measures = [_lengths(model, grads, k), _sums(model, times, k)]
    measures.append(_sums(model, line.shares, k) if line else _unknown(measures[1]))
    twins = untrained_twins(model, untrained, seed)
    alike = [_tensor_lengths(t, _gradient(t, _precise(t), pair)[1]) for t in twins]
    best = int(reading.log_probs[0].argmax())
    return Blame(
        tokens=displayed(model.tokenizer, pair.prompt),
        answer="".join(displayed(model.tokenizer, pair.answer)),
        said=displayed(model.tokenizer, [best])[0],
        said_probability=float(reading.log_probs[0, best].exp()),
        loss_nats=float(reading.loss[0]),
        first_step=next(iter(model.history)) if line else None,
        first_loss=line.start if line else math.nan,
        points=line.points if line else 0,
        tensors=tensor_names(model),
        layers=layer_names(model),
        **{
            name: torch.stack([each[name] for each in measures])
            if isinstance(measures[0][name], Tensor)
            else tuple(each[name] for each in measures)
            for name in measures[0]
        },
        without=_without(model, now, pair, largest(times, k), float(reading.loss[0])),
        untrained=torch.stack(alike) if alike else measures[0]["by_tensor"][None][:0],
        provenance=provenance(blame, call, prompt=model.tokenizer.decode(list(pair.prompt))),
    )


def _precise(model: LanguageModel) -> Parameters:
    """The parameters as leaves, in double precision where that is cheap."""
    held = parameters_of(model, shared=True)
    small = sum(p.numel() for p in held.values()) <= PRECISE_BELOW
    return parameters_of(model, dtype=torch.float64) if small else held


def _loss(model: LanguageModel, pair: PromptAnswer) -> Callable[[Mapping[str, Tensor]], Tensor]:
    shell = shell_of(model)
    return lambda params: answer_loss(shell, params, [pair])


def _gradient(model: LanguageModel, params: Parameters, pair: PromptAnswer) -> tuple:
    """What the model says of the pair, and the gradient of the answer's loss."""
    reading = _loss(model, pair)(params)
    found = torch.autograd.grad(reading.loss[0], list(params.values()), allow_unused=True)
    pairs = zip(params.items(), found, strict=True)
    grads = {n: torch.zeros_like(p) if g is None else g for (n, p), g in pairs}
    told = type(reading)(loss=reading.loss.detach(), log_probs=reading.log_probs.detach())
    return told, {name: grad.detach() for name, grad in grads.items()}


def _line(
    model: LanguageModel,
    now: Parameters,
    pair: PromptAnswer,
    tolerance: float,
    most: int,
    least: float,
) -> Line | None:
    """The shares since the first checkpoint; None where there is no earlier one."""
    history = getattr(model, "history", None) or {}
    first = next(iter(history), None)
    if first is None or first == model.step:
        return None
    kind = next(iter(now.values())).dtype
    start = parameters_of(history[first], dtype=kind, shared=True)
    reading = _loss(model, pair)

    def loss(params: Parameters) -> float:
        nats = reading(params).loss[0]
        if nats.requires_grad:
            nats.backward()
        return float(nats.detach())

    return along(start, now, loss, tolerance=tolerance, most=most, least=least)


def _sums(model: LanguageModel, numbers: Parameters, k: int) -> dict:
    """One measure's rows of the result's fields."""
    shares = shares_of(model, numbers)
    return _rows(model, shares, sum(shares.tensors.values()), largest(numbers, k), k)


def _lengths(model: LanguageModel, grads: Parameters, k: int) -> dict:
    """As `_sums`, but the length of each part's gradient."""
    squares = shares_of(model, {name: grad.square() for name, grad in grads.items()})
    whole = math.sqrt(sum(squares.tensors.values()))
    roots = Shares(
        tensors={name: math.sqrt(value) for name, value in squares.tensors.items()},
        layers=squares.layers.sqrt(),
        heads=squares.heads.sqrt(),
        neurons=squares.neurons.sqrt(),
        tokens=squares.tokens.sqrt(),
    )
    return _rows(model, roots, whole, largest(grads, k), k)


def _tensor_lengths(model: LanguageModel, grads: Parameters) -> Float[Tensor, " tensor"]:
    squares = shares_of(model, {name: grad.square() for name, grad in grads.items()})
    return torch.tensor(list(squares.tensors.values())).sqrt()


def _rows(model: LanguageModel, shares: Shares, whole: float, best: list[Weight], k: int) -> dict:
    spoken = shares.tokens.abs().topk(min(k, len(shares.tokens))).indices
    return {
        "totals": torch.tensor(whole),
        "by_tensor": torch.tensor(list(shares.tensors.values())),
        "by_layer": shares.layers,
        "by_head": shares.heads,
        "by_neuron": shares.neurons,
        "vocabulary": displayed(model.tokenizer, spoken.tolist()),
        "by_vocabulary": shares.tokens[spoken],
        "weights": named(model, best),
        "by_weight": torch.tensor([weight.value for weight in best]),
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
    reading, changes = _loss(model, pair), []
    for weight in weights:
        changed = params[weight.tensor].detach().clone()
        changed.view(-1)[weight.place] = 0
        changes.append(float(reading(params | {weight.tensor: changed}).loss[0]) - loss)
    return torch.tensor(changes)


def _grid(values: Float[Tensor, "layer unit"]) -> list[tuple[str, float]]:
    told = values.tolist()
    return [(f"{row}.{i}", value) for row, line in enumerate(told) for i, value in enumerate(line)]
