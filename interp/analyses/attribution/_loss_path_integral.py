"""What each weight added to a change of the loss, along the straight line between two models.

With theta(t) = start + t * move, the chain rule gives dL/dt = sum_i g_i(theta(t)) * move_i, and by
the fundamental theorem its integral over t from 0 to 1 is L(end) - L(start), whatever the function.
Weight i's share is its own term, move_i * integral of g_i. The straight line is a choice: another
path between the same ends gives other shares, with the same sum.

The integral is a sum over points, and its error is known for the sum of all shares only, from the
losses at both ends: errors of single shares may cancel there. So it is taken twice, with n/2 and
with n gradients, and the difference is told for each part of the model. Gauss' rule of three points
has an error of the sixth order in the length of its intervals: where halving has begun to help, the
finer shares are about 2^6 - 1 = 63 times nearer to the truth than that difference.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from interp.methods.parameters import Parameters

Loss = Callable[[Parameters], float]
"""The loss at some leaves; where gradients are on, these are added to the leaves' `.grad`."""

Parts = Callable[[Parameters], Tensor]
"""Shares of weights to the sums over the model's parts, in one row."""

MOST_POINTS = 96
GAUSS = ((0.5 - 0.15**0.5, 5 / 18), (0.5, 8 / 18), (0.5 + 0.15**0.5, 5 / 18))
"""Points and weights of Gauss' rule in [0, 1]: three gradients integrate polynomials up to degree 5
exactly (Simpson's three up to degree 3), and no point is an end, so none is shared or kept."""


@dataclass(frozen=True, kw_only=True)
class PathIntegral:
    """The shares along one path.

    Attributes:
        shares: nats a weight, by PyTorch's names; below 0 = the weight's move lowered the loss.
        start: loss at the start.
        end: loss at the end.
        total: sum of the shares.
        first_order: gradient at the start times the whole displacement: the usual estimate.
        points: how many gradients were taken.
        part_errors: how much each part's share differs from what half as many gradients say; nan
            where there were too few to be halved.
    """

    shares: Parameters
    start: float
    end: float
    total: float
    first_order: float
    points: int
    part_errors: Float[Tensor, " part"]


def path_integral(
    start: Mapping[str, Tensor],
    end: Mapping[str, Tensor],
    loss: Loss,
    parts: Parts,
    *,
    tolerance: float,
    most: int = MOST_POINTS,
    least: float = 0.0,
) -> PathIntegral:
    """Gauss' rule on intervals that are halved until each adds up to its own change of the loss.

    Memory: besides the two models their difference, one point's weights and gradients, and two
    sums; nothing grows with the number of points but a row of the parts.

    Args:
        start: parameters at the start.
        end: parameters at the end.
        loss: the loss of some parameters; adds their gradients where gradients are on.
        parts: adds up shares by the parts whose errors are asked for.
        tolerance: largest sum of all intervals' errors, as a share of the whole true change.
        most: gradients at most, 4 or more; `total` misses the rest.
        least: a change smaller than this counts as this: one that is zero by chance has no share.
    """
    path = _StraightPath(start, end, loss)
    first_order = path.dot(path.gradients(0.0))
    allowed = tolerance * max(abs(path.loss(1.0) - path.loss(0.0)), least)
    sums = path.shares(0.0, 1.0)
    points, halves = 1 + len(GAUSS), 2 * len(GAUSS)
    errors = torch.full_like(parts(sums), math.nan)
    open_: deque[tuple[float, float, Tensor]] = deque()
    if points + halves <= most:
        open_.append((0.0, 1.0, parts(sums)))
        errors.zero_()
        for value in sums.values():
            value.zero_()
    while open_:
        low, high, coarse = open_.popleft()
        middle = (low + high) / 2
        shares = path.shares(low, middle)
        first_half = parts(shares)
        path.shares(middle, high, into=shares)
        both = parts(shares)
        points += halves
        # The true change of an interval costs two forward passes, so the error of the sum is known
        # and need not be estimated. Errors allowed in proportion to length add up to `allowed`.
        missed = abs(_sum(shares.values()) - (path.loss(high) - path.loss(low)))
        # Halve only while both halves and all that is still open can be paid for.
        halving = points + halves * (len(open_) + 2) <= most
        if missed > allowed * (high - low) and halving:
            open_ += [(low, middle, first_half), (middle, high, both - first_half)]
            continue
        errors += (both - coarse).abs()
        for name, value in sums.items():
            value.add_(shares[name])
    return PathIntegral(
        shares=sums,
        start=path.loss(0.0),
        end=path.loss(1.0),
        total=_sum(sums.values()),
        first_order=first_order,
        points=points,
        part_errors=errors,
    )


class _StraightPath:
    """The points of the straight line between two sets of weights."""

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
        """The gradient at a share `t` of the line."""
        leaves = {name: p.requires_grad_() for name, p in self._at(t).items()}
        self._loss(leaves)
        return {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in leaves.items()}

    def shares(self, low: float, high: float, into: Parameters | None = None) -> Parameters:
        """Each weight's share between `low` and `high` by Gauss' rule, added to `into`."""
        shares = into or {name: torch.zeros_like(p) for name, p in self.start.items()}
        for point, weight in GAUSS:
            for name, grad in self.gradients(low + point * (high - low)).items():
                shares[name].addcmul_(grad, self.move[name], value=weight * (high - low))
        return shares

    def dot(self, grads: Parameters) -> float:
        """The sum of gradient times displacement over all weights, as `_sum` adds them up."""
        return _sum(grads[name] * move for name, move in self.move.items())


def _sum(shares: Iterable[Tensor]) -> float:
    # In double precision: millions of terms of either sign nearly cancel.
    return sum(float(share.sum(dtype=torch.float64)) for share in shares)
