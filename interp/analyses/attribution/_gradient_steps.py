"""Steps down a loss on parameters of their own: what each should gain, and what it did."""

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
class Descent:
    """What some steps did.

    Attributes:
        losses: before the first step and after each.
        predicted: gradient times step of each step, the first-order change of the loss.
        end: the parameters after the last step.
        first: what the first step added.
        gradient: before the first step.
        gain: of each weight, gradient times step summed over the steps, sign turned.
    """

    losses: tuple[float, ...]
    predicted: tuple[float, ...]
    end: Parameters
    first: Parameters
    gradient: Parameters
    gain: Parameters


def descend(loss: Loss, start: Parameters, method: Optimizer, lr: float, steps: int) -> Descent:
    """Take steps on a copy of the parameters; the first begins with a fresh optimizer.

    Args:
        loss: of parameters.
        start: stay as they are.
        method: stochastic gradient descent without momentum, or AdamW without weight decay.
        lr: learning rate.
        steps: one or more.
    Raises:
        ConfigError: the loss is no longer finite.
    """
    params = {name: p.detach().clone().requires_grad_() for name, p in start.items()}
    optimizer = _optimizer(method, params, lr)
    losses, predicted, told = [], [], {}
    gain = {name: torch.zeros_like(p) for name, p in start.items()}
    for number in range(steps):
        value, grads = gradient(loss, params)
        losses.append(_finite(value, number, lr))
        before = {name: p.detach().clone() for name, p in params.items()}
        for name, p in params.items():
            p.grad = grads[name]
        optimizer.step()
        moved = {name: p.detach() - before[name] for name, p in params.items()}
        for name in gain:
            gain[name] -= grads[name] * moved[name]
        predicted.append(dot(grads, moved))
        told = told or {"first": moved, "gradient": grads}
    with torch.no_grad():
        losses.append(_finite(float(loss(params)), steps, lr))
    end = {name: p.detach() for name, p in params.items()}
    return Descent(losses=tuple(losses), predicted=tuple(predicted), end=end, gain=gain, **told)


def gradient(loss: Loss, params: Parameters) -> tuple[float, Parameters]:
    """The loss and its gradient."""
    leaves = {name: p.detach().requires_grad_() for name, p in params.items()}
    value = loss(leaves)
    # A tensor that takes no part (a cut-off position table) has a gradient of zero.
    grads = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
    pairs = zip(leaves.items(), grads, strict=True)
    return float(value.detach()), {
        n: torch.zeros_like(p) if g is None else g for (n, p), g in pairs
    }


def curvature(loss: Loss, params: Parameters, along: Parameters, length: float) -> float:
    """Direction times Hessian times direction, from two gradients a small way to either side.

    Args:
        loss: of parameters.
        params: where.
        along: the direction.
        length: of the small way.
    """
    whole = dot(along, along) ** 0.5
    if whole == 0:
        return 0.0
    share = length / whole
    ahead, behind = (dot(gradient(loss, plus(params, along, s))[1], along) for s in (share, -share))
    return (ahead - behind) / (2 * share)


def plus(params: Parameters, along: Parameters, share: float = 1.0) -> Parameters:
    """The parameters moved by a share of a direction."""
    return {name: p.detach() + share * along[name] for name, p in params.items()}


def dot(left: Parameters, right: Parameters) -> float:
    """Sum of products over all parameters."""
    return float(sum((left[name] * right[name]).sum() for name in left))


def _optimizer(method: str, params: Parameters, lr: float) -> torch.optim.Optimizer:
    if method == "sgd":
        return torch.optim.SGD(params.values(), lr=lr)
    if method == "adamw":
        return torch.optim.AdamW(params.values(), lr=lr, betas=BETAS, weight_decay=0.0)
    raise ConfigError(f"optimizer is sgd or adamw; {method!r} came.")


def _finite(value: float, number: int, lr: float) -> float:
    if value != value or abs(value) == float("inf"):
        raise ConfigError(
            f"The loss must stay finite; after step {number} of size {lr:g} it is {value}. "
            "Choose a smaller step size, or fewer steps."
        )
    return value
