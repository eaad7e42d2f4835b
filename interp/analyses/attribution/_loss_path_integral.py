"""What each weight added to a change of the loss, along the straight line between two models.

By the fundamental theorem the integral of gradient times displacement, summed over all weights, is
the loss at the end less the loss at the start, whatever the function. Each weight's part of the sum
is its share. The line is a choice: another way between the same ends gives other shares.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from interp.methods.parameters import Parameters

Loss = Callable[[Parameters], float]
"""The loss at some leaves; where gradients are on, these are added to the leaves' `.grad`."""

MOST_POINTS = 96
GAUSS = ((0.5 - 0.15**0.5, 5 / 18), (0.5, 8 / 18), (0.5 + 0.15**0.5, 5 / 18))
"""Places and weights of Gauss' rule in [0, 1]: three gradients, two orders above Simpson's."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """The shares along one line.

    Attributes:
        shares: nats a weight, by PyTorch's names; below 0 = the weight's move lowered the loss.
        start: loss at the start.
        end: loss at the end.
        total: sum of the shares.
        left: sum of the gradient at the start times the whole displacement: the usual estimate.
        points: gradients taken.
    """

    shares: Parameters
    start: float
    end: float
    total: float
    left: float
    points: int

    @property
    def residual(self) -> float:
        """What the shares miss of the true change, as a share of it."""
        change = self.end - self.start
        return (self.total - change) / abs(change) if change else float("nan")


def along(
    start: Mapping[str, Tensor],
    end: Mapping[str, Tensor],
    loss: Loss,
    *,
    tolerance: float,
    most: int = MOST_POINTS,
    least: float = 0.0,
) -> Line:
    """Gauss' rule on intervals that are halved until each adds up to its own change of the loss.

    Memory: besides the two models their difference, one point's weights and gradients, and two
    sums; nothing grows with the number of points.

    Args:
        start: parameters at the start.
        end: parameters at the end.
        loss: of the parameters; adds their gradients where gradients are on.
        tolerance: as a share of the whole true change; the misses of all intervals stay below it.
        least: a change smaller than this counts as this: one that is zero by chance has no share.
        most: gradients at most; what is missed then is `residual`.
    """
    walk = _Walk(start, end, loss)
    left = walk.dot(walk.gradients(0.0))
    allowed = tolerance * max(abs(walk.loss(1.0) - walk.loss(0.0)), least)
    sums = {name: torch.zeros_like(p) for name, p in walk.start.items()}
    open_, points, total = deque([(0.0, 1.0)]), 1, 0.0
    while open_:
        low, high = open_.popleft()
        mean = walk.mean(low, high)
        points += len(GAUSS)
        amount = (high - low) * walk.dot(mean)
        missed = abs(amount - (walk.loss(high) - walk.loss(low)))
        halving = points + len(GAUSS) * (len(open_) + 2) <= most
        if missed > allowed * (high - low) and halving:
            middle = (low + high) / 2
            open_ += [(low, middle), (middle, high)]
            continue
        total += amount
        for name, value in sums.items():
            value.add_(mean[name], alpha=high - low)
    shares = {name: value.mul_(walk.move[name]) for name, value in sums.items()}
    ends = dict(start=walk.loss(0.0), end=walk.loss(1.0))
    return Line(shares=shares, **ends, total=total, left=left, points=points)


class _Walk:
    """The points of a line between two sets of weights."""

    def __init__(self, start: Mapping[str, Tensor], end: Mapping[str, Tensor], loss: Loss) -> None:
        self.start = {name: p.detach() for name, p in start.items()}
        self.move = {name: end[name].detach() - p for name, p in self.start.items()}
        self._loss = loss
        self.loss = cache(self._loss_at)

    def _at(self, t: float) -> Parameters:
        return {name: torch.add(p, self.move[name], alpha=t) for name, p in self.start.items()}

    def _loss_at(self, t: float) -> float:
        """The loss at a share `t` of the line."""
        with torch.no_grad():
            return self._loss(self._at(t))

    def gradients(self, t: float) -> Parameters:
        """Those at a share `t` of the line."""
        leaves = {name: p.requires_grad_() for name, p in self._at(t).items()}
        self._loss(leaves)
        return {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in leaves.items()}

    def mean(self, low: float, high: float) -> Parameters:
        """The mean of the gradients from `low` to `high`."""
        mean = {name: torch.zeros_like(p) for name, p in self.start.items()}
        for place, weight in GAUSS:
            for name, grad in self.gradients(low + place * (high - low)).items():
                mean[name].add_(grad, alpha=weight)
        return mean

    def dot(self, grads: Parameters) -> float:
        """The sum of gradient times displacement over all weights."""
        pairs = ((grads[name], move) for name, move in self.move.items())
        return sum(float((grad * move).sum(dtype=torch.float64)) for grad, move in pairs)
