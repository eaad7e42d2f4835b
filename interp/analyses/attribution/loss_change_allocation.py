"""Which parameters lowered the loss between two checkpoints, and which raised it.

Each weight's share is the integral of gradient times displacement along the straight line between
its two values, so that all shares together are the true change. Between checkpoints more than a
step apart that line is not the path that training took: `TrainConfig(checkpoint_every=1)` keeps
every step.

Control: by chance 50 % of the weights would help. The residual of the sum is printed, and, since
errors of single parts may cancel in it, the largest difference of any part's share between all of
the gradients and half as many; beside them what the usual gradient times step would have said,
which is often off by more than the whole change. The same texts count at every checkpoint.

Units: nats per token; below zero, the part lowered the loss.

    interp run loss_change_allocation --world stories --steps 1000 --steps 2000
        --html allocation.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.analyses.attribution._loss_path_integral import (
    MOST_POINTS,
    Loss,
    PathIntegral,
    path_integral,
)
from interp.analyses.attribution._parameter_sums import (
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
from interp.core.errors import ConfigError
from interp.core.progress import report_progress
from interp.core.protocols import LanguageModel
from interp.methods.batches import TextBatch, encoded_texts, text_batches, texts_or_stories
from interp.methods.parameters import Parameters, losses_of
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.runs.checkpoints import chosen_steps, history_of
from interp.worlds.world import World

PARTS = ("tensor", "layer", "head", "neuron")


TYPICAL_POINTS = 16
"""Gradients a stretch that most stretches do with, for the estimate of what it costs."""


@dataclass(frozen=True, kw_only=True)
class LossChangeAllocation(Result):
    """Shares of the change of the loss, in nats per token; below zero = it lowered the loss.

    A stretch is what lies between two neighbouring checkpoints.

    Attributes:
        steps: the checkpoints' training steps.
        losses: the loss on the texts at each checkpoint.
        totals: for each stretch, the sum of all shares.
        first_order: for each stretch, gradient at its start times the whole displacement.
        points: for each stretch, how many gradients were taken.
        part_errors: for each stretch, the largest difference of any tensor's, layer's, head's,
            neuron's or token's share from what half as many gradients say; nan with fewer than 10.
        tensors: the tensors' names.
        layers: the layers' names: embedding, each layer, unembedding (with the final norm).
        by_tensor: each tensor's share of each stretch.
        by_layer: each layer's share of each stretch.
        by_head: each head's share of each stretch, without keys and values that heads share.
        by_neuron: each neuron's share of each stretch.
        lowered: for each stretch, the sum of the shares below zero.
        raised: for each stretch, the sum of the shares above zero.
        helping: for each stretch, which part of the weights that moved have a share below zero.
        helping_in: for each stretch and tensor, which part of its weights that moved have a share
            below zero.
        top: for each stretch, the names of the weights with the largest shares.
        top_shares: the shares of the weights in `top`.
        n_texts: how many texts the loss was taken on.
        n_tokens: how many tokens are predicted in the texts.
    """

    former_fields: ClassVar[Mapping[str, str]] = {"left": "first_order"}

    steps: tuple[int, ...]
    losses: Float[Tensor, " step"]
    totals: Float[Tensor, " stretch"]
    first_order: Float[Tensor, " stretch"]
    points: Int[Tensor, " stretch"]
    tensors: tuple[str, ...]
    layers: tuple[str, ...]
    by_tensor: Float[Tensor, "stretch tensor"]
    by_layer: Float[Tensor, "stretch part"]
    by_head: Float[Tensor, "stretch layer head"]
    by_neuron: Float[Tensor, "stretch layer neuron"]
    lowered: Float[Tensor, " stretch"]
    raised: Float[Tensor, " stretch"]
    helping: Float[Tensor, " stretch"]
    helping_in: Float[Tensor, "stretch tensor"]
    top: tuple[tuple[str, ...], ...]
    top_shares: Float[Tensor, "stretch k"]
    n_texts: int
    n_tokens: int
    part_errors: Float[Tensor, " stretch"] = field(default_factory=lambda: torch.empty(0))
    columns: ClassVar = {
        "tensor_nats_per_token": "by_tensor",
        "layer_nats_per_token": "by_layer",
        "head_nats_per_token": "by_head",
        "neuron_nats_per_token": "by_neuron",
        "weight_nats_per_token": "top_shares",
    }
    labels: ClassVar = {
        "stretch": ("stretch", "stretches"),
        "tensor": ("tensor", "tensors"),
        "part": ("part", "layers"),
        "weight": ("stretch k", "top"),
    }

    @property
    def changes(self) -> Float[Tensor, " stretch"]:
        """The true change of the loss in each stretch."""
        return self.losses.diff()

    @property
    def residuals(self) -> Float[Tensor, " stretch"]:
        """What the shares miss of the true change, as a share of it."""
        return (self.totals - self.changes) / self.changes.abs()

    @property
    def first_order_errors(self) -> Float[Tensor, " stretch"]:
        """What gradient times step misses of the true change, as a share of it."""
        return (self.first_order - self.changes) / self.changes.abs()

    @property
    def stretches(self) -> tuple[str, ...]:
        """`0-16`, `16-64`, …"""
        return tuple(f"{a}-{b}" for a, b in zip(self.steps, self.steps[1:], strict=False))

    @property
    def straight(self) -> bool:
        """Whether a stretch is longer than one step, so that the line is not the path taken."""
        return any(b - a > 1 for a, b in zip(self.steps, self.steps[1:], strict=False))

    def finding(self) -> str:
        whole = self.by_tensor.sum(0)
        most = int(whole.argmin())
        return (
            f"Loss change allocation: from step {self.steps[0]} to {self.steps[-1]} the loss went "
            f"from {self.losses[0]:.3f} to {self.losses[-1]:.3f} nats per token; "
            f"{self.tensors[most]} lowered it most ({whole[most]:+.3f}). "
            f"{_range(self.helping, '.0%')} of the weights helped in a stretch (chance: 50%). The "
            "shares add up to within "
            f"{percent(self.residuals.abs().max(), 2)}{self._part_error()}; gradient times step "
            f"misses by {_range(self.first_order_errors.abs(), '.0%')}."
        )

    def _part_error(self) -> str:
        if not len(self.part_errors):
            return ""
        if self.part_errors.isnan().any():
            return " (errors of single parts not known: most_points is below 10)"
        largest = f"{self.part_errors.max():.2g}"
        return f", and half the gradients change no part's share by more than {largest} nats"

    def caption(self) -> str:
        line = (
            "Between checkpoints more than a step apart the way is the straight line between the "
            "two weights, not the path that training took. "
            if self.straight
            else "Every stretch is one training step, whose way is a straight line. "
        )
        return (
            f"{self.finding()} A weight's share is the integral of gradient times displacement, of "
            "which the gradients are samples; single weights may be off by more than the parts. "
            f"Below zero, its move lowered the loss. {line}"
            f"{_range(self.points, '.0f')} gradients a stretch. n = {self.n_texts} texts, "
            f"{self.n_tokens:,} tokens, the same for every stretch, so no interval."
        )


def loss_change_allocation(
    model: LanguageModel,
    texts: Sequence[str] = (),
    *,
    world: World | None = None,
    n_stories: int = 8,
    steps: Sequence[int] = (),
    most_steps: int = 8,
    tolerance: float = 0.002,
    most_points: int = MOST_POINTS,
    k: int = 20,
) -> LossChangeAllocation:
    """Give each parameter its share of every change of the loss between checkpoints.

    Args:
        model: opened from a run with checkpoints.
        texts: texts that the loss is taken on, the same for all stretches.
        world: the world whose held-out stories are taken where no texts are given.
        n_stories: how many held-out stories.
        steps: checkpoints to use; none = all, thinned to `most_steps`.
        most_steps: how many checkpoints at most, log-spaced.
        tolerance: how near the shares must add up to the true change, as a share of it.
        most_points: gradients a stretch at most, 4 or more; the result says what is missed. Errors
            by part need 10.
        k: how many single weights to name.
    Returns:
        LossChangeAllocation: shares by tensor, layer, head and neuron, in nats per token.
    Raises:
        NotEnoughDataError: no checkpoints, or neither texts nor world.
        ConfigError: a step without a checkpoint, or a model whose parameters cannot be named.
    Example:
        >>> loss_change_allocation(model, ["It is a rainy night."]).residuals  # doctest: +SKIP
    Source:
        Lan et al. 2019, "LCA: Loss Change Allocation for Neural Network Training",
        arXiv 1909.01440. Theirs integrates single steps with Runge-Kutta's fourth order (Simpson's
        rule); ours halves intervals of Gauss' rule until each adds up.
    """
    call = dict(locals())
    chosen = chosen_steps(model, steps, most_steps)
    if len(chosen) < 2 or most_points < 4:
        raise ConfigError(
            "Loss change allocation needs two steps or more, and most_points of 4 or more; got "
            f"{len(chosen)} steps and most_points = {most_points}."
        )
    texts = texts_or_stories(texts, world, n_stories, "held_out")
    rows = list(text_batches(model, encoded_texts(model, texts)))
    tokens = max(batch.tokens.numel() for batch in rows)
    points = min(most_points, TYPICAL_POINTS) * (len(chosen) - 1)
    width = max(batch.tokens.shape[1] for batch in rows)
    announce(
        model,
        Passes(count=len(rows) * points, tokens=tokens, width=width, logits=tokens, gradients=True),
        copies=7,
        calls=calls_by_part(model) * (len(chosen) - 1 + points / 9),
        smaller="Give fewer texts (texts=, n_stories=), steps (most_steps=) or points "
        "(most_points=).",
    )
    loss = _loss(model, rows)
    stretches, losses, params = [], [], _checkpoint(model, chosen[0])

    def parts(shares: Parameters) -> Float[Tensor, " part"]:
        return component_sums(model, shares).row

    for i, step in enumerate(chosen[1:]):
        report_progress(f"steps {chosen[i]} to {step}", i, len(chosen) - 1)
        after = _checkpoint(model, step)
        integral = path_integral(params, after, loss, parts, tolerance=tolerance, most=most_points)
        stretches.append(_stretch(model, integral, k))
        losses += [integral.start] * (not losses) + [integral.end]
        params = after
    return LossChangeAllocation(
        steps=chosen,
        losses=torch.tensor(losses),
        **stacked_fields(stretches),
        tensors=tuple(component_sums(model, params).tensors),
        layers=layer_names(model),
        n_texts=len(texts),
        n_tokens=int(sum(batch.weights.sum() for batch in rows)),
        provenance=provenance(loss_change_allocation, call),
    )


def _checkpoint(model: LanguageModel, step: int) -> Parameters:
    return {n: p.detach() for n, p in precise_parameters(history_of(model)[step]).items()}


def _loss(model: LanguageModel, rows: Sequence[TextBatch]) -> Loss:
    """The mean loss per predicted token, and its gradients, a batch of texts at a time."""
    whole = float(sum(batch.weights.sum() for batch in rows))

    def loss(params: Parameters) -> float:
        total = 0.0
        for batch in rows:
            nats = losses_of(model, params, batch.tokens).double()
            part = (nats * batch.weights[:, 1:]).sum() / whole
            # Backward of each batch by itself: gradients add up, activations need not be kept.
            if part.requires_grad:
                part.backward()
            total += float(part.detach())
        return total

    return loss


def _stretch(model: LanguageModel, integral: PathIntegral, k: int) -> dict[str, object]:
    """One stretch's rows of the result's fields."""
    sums = component_sums(model, integral.shares)
    shares = integral.shares
    lowered = sum(float(each.clamp(max=0).sum(dtype=torch.float64)) for each in shares.values())
    # A weight that did not move has a share of exactly zero, whatever its gradient.
    signs = ({n: s < 0 for n, s in shares.items()}, {n: s != 0 for n, s in shares.items()})
    helping, moved = (component_sums(model, sign).tensors for sign in signs)
    best = largest(shares, k)
    per_tensor = [helping[name] / max(moved[name], 1.0) for name in sums.tensors]
    return {
        "totals": torch.tensor(integral.total),
        "first_order": torch.tensor(integral.first_order),
        "points": torch.tensor(integral.points),
        "part_errors": integral.part_errors.max(),
        "by_tensor": torch.tensor(list(sums.tensors.values())),
        "by_layer": sums.layers,
        "by_head": sums.heads,
        "by_neuron": sums.neurons,
        "lowered": torch.tensor(lowered),
        "raised": torch.tensor(integral.total - lowered),
        "helping": torch.tensor(sum(helping.values()) / max(sum(moved.values()), 1.0)),
        "helping_in": torch.tensor(per_tensor),
        "top": weight_names(model, best),
        "top_shares": torch.tensor([value for _, _, value in best]),
    }


def _range(values: Tensor, form: str) -> str:
    low, high = f"{values.min():{form}}", f"{values.max():{form}}"
    return low if low == high else f"{low} to {high}"
