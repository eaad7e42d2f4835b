"""Many classifiers on the same rows at once: a linear one solved to its optimum, and a small MLP.

Knows nothing of models or worlds: rows of numbers and class numbers in, classifiers out.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

L2 = 0.01


@dataclass(frozen=True, kw_only=True)
class Linear:
    """Logistic classifiers of several tasks, in the units of the rows they were fitted to."""

    weight: Float[Tensor, "task class d_model"]
    bias: Float[Tensor, "task class"]

    def predict(self, x: Float[Tensor, "example d_model"]) -> Int[Tensor, "task example"]:
        """The most probable class of each row, for each task."""
        return (torch.einsum("nd,tcd->tnc", x, self.weight) + self.bias[:, None]).argmax(-1)


@dataclass(frozen=True, kw_only=True)
class Mlp:
    """One hidden layer of ReLUs for each of several tasks."""

    mean: Float[Tensor, " d_model"]
    deviation: Float[Tensor, " d_model"]
    parameters: tuple[Tensor, Tensor, Tensor, Tensor]

    def predict(self, x: Float[Tensor, "example d_model"]) -> Int[Tensor, "task example"]:
        """The most probable class of each row, for each task."""
        return _mlp_logits((x - self.mean) / self.deviation, self.parameters).argmax(-1)


def fit_linear(
    x: Float[Tensor, "example d_model"],
    targets: Int[Tensor, "task example"],
    n_classes: int,
    *,
    l2: float = L2,
    tolerance: float = 1e-4,
    max_steps: int = 500,
) -> Linear:
    """Multinomial logistic regression of every task, to the optimum of one convex objective.

    Mean cross-entropy + l2 / 2 * squared weights, on rows standardised here. The rows are rotated
    to their principal axes, where Böhning's bound on the curvature is diagonal, so that plain
    accelerated gradient steps of size 1 converge in a few dozen products.

    Args:
        x: training rows only: mean and deviation are taken from them.
        targets: class numbers, a row a task.
        n_classes: of every task.
        l2: weight of the penalty (scikit-learn's C is 1 / (example * l2)).
        tolerance: largest entry of the gradient at which to stop.
        max_steps: stop there in any case.
    Source:
        Böhning 1992, "Multinomial logistic regression algorithm"; Nesterov 1983, with the
        gradient restart of O'Donoghue & Candès 2012.
    """
    x = x.float()
    mean, deviation = moments(x)
    axes, variance = _principal_axes((x - mean) / deviation)
    scale = (variance / 2 + l2).rsqrt()
    basis = axes * scale
    rows = ((x - mean) / deviation) @ basis
    wanted = one_hot(targets, n_classes).float()
    solution, bias = _descend(rows, wanted, l2 * scale**2, tolerance, max_steps)
    weight = torch.einsum("dr,rtc->tcd", basis, solution) / deviation
    return Linear(weight=weight, bias=bias - torch.einsum("tcd,d->tc", weight, mean))


def fit_mlp(
    x: Float[Tensor, "example d_model"],
    targets: Int[Tensor, "task example"],
    n_classes: int,
    *,
    hidden: int = 64,
    steps: int = 150,
    weight_decay: float = 1e-2,
    seed: int = 0,
) -> Mlp:
    """A one-hidden-layer classifier for every task, full-batch AdamW at a fixed budget.

    Args:
        x: training rows only.
        targets: class numbers, a row a task.
        n_classes: of every task.
        hidden: width.
        steps: updates; fixed, so that task and controls get the same effort.
        weight_decay: of AdamW.
        seed: of the initial weights.
    """
    x = x.float()
    mean, deviation = moments(x)
    rows = (x - mean) / deviation
    generator = torch.Generator(x.device).manual_seed(seed)
    sizes = (x.shape[1], hidden, n_classes)
    parameters = _mlp_parameters(len(targets), sizes, generator)
    optimizer = torch.optim.AdamW(parameters, lr=1e-2, weight_decay=weight_decay)
    for _ in range(steps):
        optimizer.zero_grad()
        logits = _mlp_logits(rows, parameters)
        # Tasks share no weights, so the sum trains each as if it were alone.
        (cross_entropy(logits.flatten(0, 1), targets.flatten()) * len(targets)).backward()
        optimizer.step()
    trained = tuple(parameter.detach() for parameter in parameters)
    return Mlp(mean=mean, deviation=deviation, parameters=trained)


def moments(
    x: Float[Tensor, "example d_model"],
) -> tuple[Float[Tensor, " d_model"], Float[Tensor, " d_model"]]:
    """Mean and standard deviation of each column; one that is constant but for rounding gets 1."""
    deviation = x.std(0, correction=0)
    return x.mean(0), torch.where(deviation > 1e-5 * x.abs().mean(), deviation, 1.0)


def _principal_axes(
    x: Float[Tensor, "example d_model"],
) -> tuple[Float[Tensor, "d_model r"], Float[Tensor, " r"]]:
    # In single precision the solver may fail on matrices of low rank, which an embedding makes.
    n, d = x.shape
    rows = x.double()
    if n >= d:
        variance, axes = torch.linalg.eigh(rows.T @ rows / n)
    else:
        variance, sides = torch.linalg.eigh(rows @ rows.T / n)
        axes = rows.T @ (sides / (n * variance.clamp_min(1e-12)).sqrt())
    kept = variance > 1e-6 * variance[-1]
    kept[-1] = True  # rows that are all alike still need one axis
    return axes[:, kept].to(x.dtype), variance[kept].clamp_min(0).to(x.dtype)


def _descend(
    rows: Float[Tensor, "example r"],
    wanted: Float[Tensor, "task example class"],
    penalty: Float[Tensor, " r"],
    tolerance: float,
    max_steps: int,
) -> tuple[Float[Tensor, "r task class"], Float[Tensor, "task class"]]:
    tasks, n, classes = wanted.shape
    wanted = wanted.transpose(0, 1)
    weight = ahead = rows.new_zeros(rows.shape[1], tasks, classes)
    bias = bias_ahead = rows.new_zeros(tasks, classes)
    time = rows.new_ones(tasks, 1)
    for _ in range(max_steps):
        logits = (rows @ ahead.flatten(1)).unflatten(1, (tasks, classes)) + bias_ahead
        error = (logits.softmax(-1) - wanted) / n
        slope = (rows.T @ error.flatten(1)).view_as(weight) + penalty[:, None, None] * ahead
        slope_bias = error.sum(0)
        if max(slope.abs().max(), slope_bias.abs().max()) < tolerance:
            break
        stepped, stepped_bias = ahead - slope, bias_ahead - 2 * slope_bias
        uphill = (slope * (stepped - weight)).sum((0, 2)) > 0
        time = torch.where(uphill[:, None], 1.0, time)
        later = (1 + (1 + 4 * time**2).sqrt()) / 2
        push = (time - 1) / later
        ahead = stepped + push * (stepped - weight)
        bias_ahead = stepped_bias + push * (stepped_bias - bias)
        weight, bias, time = stepped, stepped_bias, later
    return ahead, bias_ahead


def _mlp_parameters(
    tasks: int, sizes: tuple[int, int, int], generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    d, hidden, classes = sizes
    device = generator.device
    first = torch.randn(tasks, d, hidden, generator=generator, device=device) / d**0.5
    second = torch.randn(tasks, hidden, classes, generator=generator, device=device) / hidden**0.5
    zeros = [torch.zeros(tasks, 1, width, device=device) for width in (hidden, classes)]
    return tuple(p.requires_grad_() for p in (first, zeros[0], second, zeros[1]))


def _mlp_logits(
    rows: Float[Tensor, "example d_model"], parameters: tuple[Tensor, Tensor, Tensor, Tensor]
) -> Float[Tensor, "task example class"]:
    first, first_bias, second, second_bias = parameters
    return (rows @ first + first_bias).relu() @ second + second_bias
