"""Muon: momentum whose update is made orthogonal, for the hidden matrices of a transformer."""

from collections import defaultdict
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from interp.training.distributed import spread_like, whole

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalize(
    matrices: Float[Tensor, "batch rows columns"], steps: int = 5
) -> Float[Tensor, "batch rows columns"]:
    """Move every singular value of each matrix near 1 (into about 0.7 … 1.2).

    Args:
        matrices: a stack of matrices of one shape; fp32 on a CPU, bf16 is enough on a GPU.
        steps: Newton-Schulz iterations.
    Returns:
        The stack, in the dtype that came.

    Example:
        >>> spread = torch.linalg.svdvals(orthogonalize(torch.randn(1, 8, 16)))
        >>> bool(((spread > 0.5) & (spread < 1.5)).all())
        True
    Source:
        Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; the quintic
        coefficients are theirs. Differs: one batched product for all matrices of a shape.
    """
    a, b, c = _COEFFICIENTS
    tall = matrices.size(1) > matrices.size(2)
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Muon:
    """Nesterov momentum, orthogonalized, over named 2-D parameters.

    The update of a matrix is `lr * sqrt(max(1, rows / columns))` times an orthogonal matrix (Jordan
    et al.'s scale: the root mean square of an output's change does not depend on the shape).

    Args:
        parameters: name to matrix.
        lr: base learning rate.
        weight_decay: decoupled; times the learning rate.
    """

    def __init__(
        self, parameters: Mapping[str, Tensor], *, lr: float, weight_decay: float = 0.0
    ) -> None:
        self.lr = lr
        self.weight_decay = weight_decay
        self.parameters = dict(parameters)
        self.momenta = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        self._names_by_shape: dict[torch.Size, list[str]] = defaultdict(list)
        for name, parameter in self.parameters.items():
            self._names_by_shape[parameter.shape].append(name)

    @torch.no_grad()
    def step(self, *, lr_scale: float, momentum: float) -> None:
        """One update from the parameters' `.grad`."""
        lr = self.lr * lr_scale
        for (rows, columns), names in self._names_by_shape.items():
            parameters = [self.parameters[name] for name in names]
            directions = self._directions(names, momentum)
            updates = orthogonalize(directions.to(_fast_dtype(directions)))
            if self.weight_decay:
                torch._foreach_mul_(parameters, 1 - lr * self.weight_decay)
            scale = -lr * max(1.0, rows / columns) ** 0.5
            torch._foreach_add_(parameters, _as_given(updates, parameters), alpha=scale)

    def _directions(self, names: list[str], momentum: float) -> Tensor:
        gradients = [self.parameters[name].grad for name in names]
        momenta = [self.momenta[name] for name in names]
        torch._foreach_lerp_(momenta, gradients, 1 - momentum)
        nesterov = torch._foreach_lerp(gradients, momenta, momentum)
        return torch.stack([whole(x) for x in nesterov])


def _fast_dtype(tensor: Tensor) -> torch.dtype:
    return torch.bfloat16 if tensor.is_cuda else torch.float32


def _as_given(updates: Tensor, parameters: list[Tensor]) -> list[Tensor]:
    """Each update in its parameter's dtype and, where the parameter is sharded, its shard."""
    rows = updates.to(parameters[0].dtype).unbind()
    return [spread_like(row, p) for row, p in zip(rows, parameters, strict=True)]
