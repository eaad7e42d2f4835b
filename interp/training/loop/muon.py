"""Muon: momentum whose update is made orthogonal, for the hidden matrices of a transformer."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor

from interp.training.distributed import full_tensor, shard_like

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
        splits: the row counts of matrices that are several side by side (queries, keys, values);
            each part is orthogonalized by itself.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        *,
        lr: float,
        weight_decay: float = 0.0,
        splits: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        self.lr = lr
        self.weight_decay = weight_decay
        self.parameters = dict(parameters)
        self.momenta = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        splits = splits or {}
        self._rows = [list(splits.get(name, [len(p)])) for name, p in self.parameters.items()]

    @torch.no_grad()
    def step(self, *, lr_scale: float, momentum: float) -> None:
        """One update from the parameters' `.grad`."""
        if not self.parameters:
            return
        lr = self.lr * lr_scale
        parameters = list(self.parameters.values())
        updates = self._orthogonal(self._directions(parameters, momentum))
        if self.weight_decay:
            torch._foreach_mul_(parameters, 1 - lr * self.weight_decay)
        spread = [shard_like(u, p) for u, p in zip(updates, parameters, strict=True)]
        torch._foreach_add_(parameters, spread, alpha=-lr)

    def _directions(self, parameters: list[Tensor], momentum: float) -> list[Tensor]:
        gradients = [parameter.grad for parameter in parameters]
        momenta = list(self.momenta.values())
        torch._foreach_lerp_(momenta, gradients, 1 - momentum)
        return [full_tensor(x) for x in torch._foreach_lerp(gradients, momenta, momentum)]

    def _orthogonal(self, directions: list[Tensor]) -> list[Tensor]:
        """Each matrix made orthogonal part by part and scaled; all parts of a shape at once."""
        parts = [d.split(rows) for d, rows in zip(directions, self._rows, strict=True)]
        found = {shape: iter(_at_once(same)) for shape, same in _by_shape(parts).items()}
        return [torch.cat([next(found[part.shape]) for part in some]) for some in parts]


def _by_shape(parts: Iterable[Iterable[Tensor]]) -> dict[torch.Size, list[Tensor]]:
    same: dict[torch.Size, list[Tensor]] = {}
    for part in chain.from_iterable(parts):
        same.setdefault(part.shape, []).append(part)
    return same


def _at_once(matrices: list[Tensor]) -> Tensor:
    stack = torch.stack(matrices)
    rows, columns = stack.shape[1:]
    fast = torch.bfloat16 if stack.is_cuda else torch.float32
    scale = max(1.0, rows / columns) ** 0.5
    return orthogonalize(stack.to(fast)).to(stack.dtype).mul_(scale)
