"""Linear regressions of many targets on the same rows, solved exactly.

Knows nothing of models or worlds: rows of numbers and numbers in, linear maps out.
"""

from dataclasses import dataclass

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from interp.methods.probes.classifier import L2, moments


@dataclass(frozen=True, kw_only=True)
class Ridge:
    """Linear maps to several targets, in the units of the rows they were fitted to.

    Attributes:
        weight: of each target, a number a column.
        bias: of each target.
    """

    weight: Float[Tensor, "task d_model"]
    bias: Float[Tensor, " task"]

    def predict(self, x: Float[Tensor, "example d_model"]) -> Float[Tensor, "task example"]:
        """Each target's value for each row."""
        values = einsum(x.double(), self.weight, "example d_model, task d_model -> task example")
        return values + self.bias[:, None]


def fit_ridge(
    x: Float[Tensor, "example d_model"],
    targets: Float[Tensor, "task example"],
    *,
    l2: float = L2,
) -> Ridge:
    """Ridge regression of every target: least mean squared error + l2 * squared weights.

    Args:
        x: training rows only: mean and deviation are taken from them.
        targets: numbers, a row a target.
        l2: weight of the penalty, on standardised rows (scikit-learn's alpha is l2 * example).
    Source:
        Hoerl & Kennard 1970, "Ridge Regression: Biased Estimation for Nonorthogonal Problems".
    """
    x, targets = x.double(), targets.double()
    mean, deviation = moments(x)
    rows, level = (x - mean) / deviation, targets.mean(1)
    (n, d), aims = x.shape, (targets - level[:, None]).T
    # (X'X + n l2 I)^-1 X'y = X' (XX' + n l2 I)^-1 y: the smaller of the two systems is solved.
    if n >= d:
        ridge = n * l2 * torch.eye(d, dtype=x.dtype, device=x.device)
        solution = torch.linalg.solve(rows.T @ rows + ridge, rows.T @ aims)
    else:
        ridge = n * l2 * torch.eye(n, dtype=x.dtype, device=x.device)
        solution = rows.T @ torch.linalg.solve(rows @ rows.T + ridge, aims)
    weight = solution.T / deviation
    return Ridge(weight=weight, bias=level - weight @ mean)
