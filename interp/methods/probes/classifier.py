"""Many classifiers on the same rows at once: a linear one solved to its optimum, and a small MLP.

Knows nothing of models or worlds: rows of numbers and class numbers in, classifiers out.
"""

from dataclasses import dataclass

import torch
from einops import einsum, rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

L2 = 0.01
HIDDEN, MLP_STEPS = 64, 150
"""Width and updates of an MLP; fixed, so that task and controls get the same effort."""
USUAL_STEPS = 100
"""Of a linear fit, for an estimate of its cost."""


@dataclass(frozen=True, kw_only=True)
class Linear:
    """Logistic classifiers of several tasks, in the units of the rows they were fitted to.

    Attributes:
        weight: of each class's score.
        bias: of each class's score.
    """

    weight: Float[Tensor, "task class d_model"]
    bias: Float[Tensor, "task class"]

    def predict(self, x: Float[Tensor, "example d_model"]) -> Int[Tensor, "task example"]:
        """The most probable class of each row, for each task."""
        scores = einsum(x, self.weight, "example d_model, task label d_model -> task example label")
        return (scores + self.bias[:, None]).argmax(-1)


@dataclass(frozen=True, kw_only=True)
class Mlp:
    """One hidden layer of ReLUs for each of several tasks.

    Attributes:
        mean: of the training rows, taken off before the first layer.
        deviation: of the training rows, which the first layer's input is divided by.
        parameters: weights and biases of the first layer, then of the second, a task each.
    """

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
    # Böhning: the Hessian of softmax cross-entropy lies, whatever the weights, below
    # (I - 11'/c) / 2 in the classes times the rows' covariance, and I - 11'/c lies below I. On the
    # principal axes that bound is diagonal: variance / 2, plus l2. Divided by its root, every axis
    # has a curvature of at most 1, so that a gradient step of size 1 can never overshoot.
    scale = (variance / 2 + l2).rsqrt()
    basis = axes * scale
    rows = ((x - mean) / deviation) @ basis
    one_hot_targets = rearrange(
        one_hot(targets, n_classes).float(), "task example label -> example task label"
    )
    # The penalty is on the weights before the change of scale, which are `scale` times the new.
    solution, bias = _descend(rows, one_hot_targets, l2 * scale**2, tolerance, max_steps)
    weight = einsum(basis, solution, "d_model r, r task label -> task label d_model") / deviation
    # w . (x - mean) / deviation + b, written as one affine map of x.
    return Linear(weight=weight, bias=bias - weight @ mean)


def fit_mlp(
    x: Float[Tensor, "example d_model"],
    targets: Int[Tensor, "task example"],
    n_classes: int,
    *,
    seed: int = 0,
) -> Mlp:
    """A one-hidden-layer classifier for every task, full-batch AdamW at a fixed budget.

    Args:
        x: training rows only.
        targets: class numbers, a row a task.
        n_classes: of every task.
        seed: of the initial weights.
    """
    x = x.float()
    mean, deviation = moments(x)
    rows = (x - mean) / deviation
    generator = torch.Generator(x.device).manual_seed(seed)
    sizes = (x.shape[1], HIDDEN, n_classes)
    parameters = _mlp_parameters(len(targets), sizes, generator)
    optimizer = torch.optim.AdamW(parameters, lr=1e-2, weight_decay=1e-2)
    for _ in range(MLP_STEPS):
        optimizer.zero_grad()
        logits = rearrange(
            _mlp_logits(rows, parameters), "task example label -> (task example) label"
        )
        # Tasks share no weights, so the sum trains each as if it were alone.
        (cross_entropy(logits, targets.flatten()) * len(targets)).backward()
        optimizer.step()
    trained = tuple(parameter.detach() for parameter in parameters)
    return Mlp(mean=mean, deviation=deviation, parameters=trained)


def fit_operations(n_rows: int, d_model: int, n_tasks: int, n_classes: int) -> float:
    """Multiplications and additions of `fit_linear`, about: `interp.core.cost.announce` takes them.

    Args:
        n_rows: training rows.
        d_model: numbers of each.
        n_tasks: fitted at once.
        n_classes: of every task.
    """
    steps = 4 * USUAL_STEPS * n_rows * d_model * n_tasks * n_classes
    return steps + 4 * n_rows * d_model**2 + 20 * d_model**3


def class_directions(weight: Float[Tensor, "class d_model"]) -> Float[Tensor, "class d_model"]:
    """A unit vector a class: its weights less the classes' mean.

    Softmax does not see what is added to the scores of all classes, so neither do directions.
    """
    centred = weight - weight.mean(0)
    return centred / centred.norm(dim=1, keepdim=True).clamp_min(1e-12)


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
        # X'X and XX' share their eigenvalues other than 0; the smaller one is solved. An
        # eigenvector u of XX'/n gives the axis X'u, of length sqrt(n * variance).
        variance, sides = torch.linalg.eigh(rows @ rows.T / n)
        axes = rows.T @ (sides / (n * variance.clamp_min(1e-12)).sqrt())
    # Axes along which the rows do not vary carry no information, only rounding.
    kept = variance > 1e-6 * variance[-1]
    kept[-1] = True  # rows that are all alike still need one axis
    return axes[:, kept].to(x.dtype), variance[kept].clamp_min(0).to(x.dtype)


def _descend(
    rows: Float[Tensor, "example r"],
    targets: Float[Tensor, "example task class"],
    penalty: Float[Tensor, " r"],
    tolerance: float,
    max_steps: int,
) -> tuple[Float[Tensor, "r task class"], Float[Tensor, "task class"]]:
    """Nesterov's accelerated descent of all tasks at once, where no curvature exceeds 1."""
    n, tasks, classes = targets.shape
    # Two points a parameter: where it is, and where momentum alone would carry it; the gradient is
    # taken at the second.
    weight = ahead = rows.new_zeros(rows.shape[1], tasks, classes)
    bias = bias_ahead = rows.new_zeros(tasks, classes)
    time = rows.new_ones(tasks, 1)
    for _ in range(max_steps):
        # One matrix product for all tasks, whose weights stand side by side.
        scores = rows @ rearrange(ahead, "r task label -> r (task label)")
        logits = rearrange(scores, "example (task label) -> example task label", task=tasks)
        error = ((logits + bias_ahead).softmax(-1) - targets) / n
        slope = rows.T @ rearrange(error, "example task label -> example (task label)")
        slope = slope.view_as(weight) + penalty[:, None, None] * ahead
        slope_bias = error.sum(0)
        if max(slope.abs().max(), slope_bias.abs().max()) < tolerance:
            break
        # The bias is the weight of a column of ones, whose second moment is 1 and which has no
        # penalty: Böhning's bound on its curvature is 1/2, so its step is 1 / (1/2). The rows have
        # mean zero, so that the bound has no entry between bias and weights.
        stepped, stepped_bias = ahead - slope, bias_ahead - 2 * slope_bias
        # O'Donoghue & Candès: a step against the slope means that momentum overshot; begin it anew,
        # for the task where it happened.
        uphill = (slope * (stepped - weight)).sum((0, 2)) > 0
        time = torch.where(uphill[:, None], 1.0, time)
        later = (1 + (1 + 4 * time**2).sqrt()) / 2
        momentum = (time - 1) / later
        ahead = stepped + momentum * (stepped - weight)
        bias_ahead = stepped_bias + momentum * (stepped_bias - bias)
        weight, bias, time = stepped, stepped_bias, later
    # The gradient that met the tolerance was taken there.
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
