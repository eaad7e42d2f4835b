"""Muon: momentum whose update is made orthogonal, for the hidden matrices of a transformer."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor

from interp.training.distributed import full_tensor, shard_like

# Every iteration maps each singular value s to a s + b s^3 + c s^5. The textbook's coefficients,
# (15, -10, 3) / 8, are flat at their fixed point 1 and converge to it, but have slope 1.9 at 0, so
# that small values need many iterations. These have slope 3.4 at 0 and give up convergence for it:
# after five iterations all of 0.005 ... 1 lie in 0.68 ... 1.16, and more of them only oscillate.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalize(
    matrices: Float[Tensor, "batch rows columns"], steps: int = 5
) -> Float[Tensor, "batch rows columns"]:
    """Move every singular value of each matrix near 1 (into about 0.7 … 1.2).

    Args:
        matrices: a stack of matrices of one shape; fp32 on a CPU, bf16 is enough on a GPU.
        steps: Newton-Schulz iterations.
    Returns:
        A stack of the same shape and dtype.

    Example:
        >>> spread = torch.linalg.svdvals(orthogonalize(torch.randn(1, 8, 16)))
        >>> bool(((spread > 0.5) & (spread < 1.5)).all())
        True
    Source:
        Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; the quintic
        coefficients are theirs. Differs: one batched product for all matrices of a shape.
    """
    a, b, c = _COEFFICIENTS
    # The Gram matrix of the shorter side is the smaller one; the result is transposed back.
    tall = matrices.size(1) > matrices.size(2)
    x = matrices.mT if tall else matrices
    # The Frobenius norm bounds the largest singular value, so all begin in [0, 1].
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        # With x = U S V^T the Gram matrix is G = U S^2 U^T, and a x + (b G + c G^2) x is
        # U (a S + b S^3 + c S^5) V^T: the polynomial of the singular values, without an SVD.
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Muon:
    """Nesterov momentum, orthogonalized, over named 2-D parameters.

    The update of a matrix is `lr * sqrt(max(1, rows / columns))` times an orthogonal matrix (Jordan
    et al.'s scale: the root mean square of an output's change does not depend on the shape).

    `torch.optim.Muon` iterates in bfloat16 everywhere: other bits, and up to 16 times the time on a
    CPU without such a unit (docs/performance.md). So this one stays.

    Args:
        parameters: matrices by name.
        lr: base learning rate.
        weight_decay: decoupled weight decay, which is multiplied by the learning rate.
        splits: the row counts of matrices that are several stacked ones (queries, keys, values);
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
        # A stack of queries, keys and values has no more singular directions than one of them. Made
        # orthogonal as one they would share these, the largest gradients taking most of the update.
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
        shards = [shard_like(u, p) for u, p in zip(updates, parameters, strict=True)]
        torch._foreach_add_(parameters, shards, alpha=-lr)

    def _directions(self, parameters: list[Tensor], momentum: float) -> list[Tensor]:
        gradients = [parameter.grad for parameter in parameters]
        momenta = list(self.momenta.values())
        # Nesterov looks ahead: the momentum, m <- mu m + (1 - mu) g, is advanced by the same
        # gradient once more without being kept. A running mean instead of a running sum only
        # changes the length of the direction, which the orthogonalization takes away.
        torch._foreach_lerp_(momenta, gradients, 1 - momentum)
        return [full_tensor(x) for x in torch._foreach_lerp(gradients, momenta, momentum)]

    def _orthogonal(self, directions: list[Tensor]) -> list[Tensor]:
        """Each matrix made orthogonal part by part and scaled; all parts of a shape at once."""
        parts = [d.split(rows) for d, rows in zip(directions, self._rows, strict=True)]
        updates = {shape: iter(_at_once(same)) for shape, same in _by_shape(parts).items()}
        return [torch.cat([next(updates[part.shape]) for part in some]) for some in parts]


def _by_shape(parts: Iterable[Iterable[Tensor]]) -> dict[torch.Size, list[Tensor]]:
    same: dict[torch.Size, list[Tensor]] = {}
    for part in chain.from_iterable(parts):
        same.setdefault(part.shape, []).append(part)
    return same


def _at_once(matrices: list[Tensor]) -> Tensor:
    stack = torch.stack(matrices)
    rows, columns = stack.shape[1:]
    fast = torch.bfloat16 if stack.is_cuda else torch.float32
    # An orthogonal matrix of more rows than columns keeps the length of its input, spread over
    # `rows` outputs: each changes by sqrt(columns / rows) of an input's size. This undoes it.
    scale = max(1.0, rows / columns) ** 0.5
    return orthogonalize(stack.to(fast)).to(stack.dtype).mul_(scale)
