"""Gradient steps on a copy of the parameters: what they are predicted to do, and what they do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from interp.core.errors import ConfigError
from interp.methods.parameters import Parameters

Optimizer = Literal["sgd", "adamw"]
Loss = Callable[[Parameters], Tensor]
BETAS = (0.9, 0.999)


@dataclass(frozen=True, kw_only=True)
class GradientSteps:
    """Some gradient steps, one after the other.

    Attributes:
        losses: the loss before the first step and after each step.
        predicted: gradient times update of each step: the first-order change of the loss.
        end: the parameters after the last step.
        first: the update of the first step.
        gradient_norm: length of the gradient before the first step.
        gain: each weight's part of the predicted decrease of the loss, summed over the steps.
    """

    losses: tuple[float, ...]
    predicted: tuple[float, ...]
    end: Parameters
    first: Parameters
    gradient_norm: float
    gain: Parameters


def gradient_steps(
    loss: Loss, start: Parameters, method: Optimizer, lr: float, steps: int
) -> GradientSteps:
    """Take steps on a copy of the parameters; the first begins with a fresh optimizer.

    Args:
        loss: the loss as a function of the parameters.
        start: the parameters to begin with; they stay as they are.
        method: stochastic gradient descent without momentum, or AdamW without weight decay.
        lr: learning rate.
        steps: one or more.
    Raises:
        ConfigError: the loss is no longer finite.
    """
    params = {name: p.detach().clone().requires_grad_() for name, p in start.items()}
    optimizer = _optimizer(method, params, lr)
    losses, predicted, first, length = [], [], {}, 0.0
    gain: Parameters = {}
    for number in range(steps):
        value, grads = gradient(loss, params)
        losses.append(_finite(value, number, lr))
        length = length or dot(grads, grads) ** 0.5
        # Each copy of the weights counts in a large model: what is spent is written over.
        update = {name: p.detach().clone() for name, p in params.items()}
        for name, p in params.items():
            p.grad = grads[name]
        optimizer.step()
        # The update is read off the weights: AdamW's is not a multiple of the gradient.
        for name, p in params.items():
            p.grad = None
            torch.sub(p.detach(), update[name], out=update[name])
        predicted.append(dot(grads, update))
        for name, slope in grads.items():
            slope.mul_(update[name]).neg_()
            gain[name] = gain[name].add_(slope) if name in gain else slope
        first = first or update
        del grads, update
    with torch.no_grad():
        losses.append(_finite(float(loss(params)), steps, lr))
    end = {name: p.detach() for name, p in params.items()}
    return GradientSteps(
        losses=tuple(losses),
        predicted=tuple(predicted),
        end=end,
        gain=gain,
        first=first,
        gradient_norm=length,
    )


def gradient(loss: Loss, params: Parameters) -> tuple[float, Parameters]:
    """The loss and its gradient at some parameters, on leaves that no one else holds."""
    leaves = {name: p.detach().requires_grad_() for name, p in params.items()}
    value = loss(leaves)
    # A tensor that takes no part (a cut-off position table) has a gradient of zero.
    grads = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
    pairs = zip(leaves.items(), grads, strict=True)
    return float(value.detach()), {
        n: torch.zeros_like(p) if g is None else g for (n, p), g in pairs
    }


def curvature(loss: Loss, params: Parameters, direction: Parameters, length: float) -> float:
    """Direction times Hessian times direction, from two gradients a small way to either side.

    Args:
        loss: the loss as a function of the parameters.
        params: the point at which the curvature is wanted.
        direction: the direction, not normalised: its square scales the result.
        length: distance of the two gradients from `params`.
    """
    norm = dot(direction, direction) ** 0.5
    if norm == 0:
        return 0.0
    # Central difference of the slope s -> gradient(params + s * direction) . direction, whose
    # derivative at 0 is d' H d; the terms of even order cancel, so the error falls as share ** 2.
    share = length / norm
    ahead, behind = (
        dot(gradient(loss, plus(params, direction, s))[1], direction) for s in (share, -share)
    )
    return (ahead - behind) / (2 * share)


def plus(params: Parameters, direction: Parameters, share: float = 1.0) -> Parameters:
    """The parameters moved by a share of a direction."""
    return {name: p.detach() + share * direction[name] for name, p in params.items()}


def dot(left: Parameters, right: Parameters) -> float:
    """Sum of products over all parameters."""
    return float(sum((left[name] * right[name]).sum() for name in left))


def _optimizer(method: str, params: Parameters, lr: float) -> torch.optim.Optimizer:
    if method == "sgd":
        return torch.optim.SGD(params.values(), lr=lr)
    if method == "adamw":
        return torch.optim.AdamW(params.values(), lr=lr, betas=BETAS, weight_decay=0.0)
    raise ConfigError(f"optimizer needs to be sgd or adamw; got {method!r}.")


def _finite(value: float, number: int, lr: float) -> float:
    if value != value or abs(value) == float("inf"):
        raise ConfigError(
            f"The loss must stay finite; after step {number} of size {lr:g} it is {value}. "
            "Choose a smaller step size, or fewer steps."
        )
    return value
