"""The tap of a run: it edits, then keeps."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from interp.edits import Edit, EditContext, by_point
from interp.hooks import everything, resolve
from interp.protocols import Names


class RunTap:
    """Applies the edits of each point, then keeps what was asked for.

    Attributes:
        cache: full name to activation, in the order of the forward pass.
    """

    def __init__(
        self,
        kept: frozenset[str],
        edits: Mapping[str, Sequence[Edit]],
        context: EditContext | None,
        grad: bool = False,
    ) -> None:
        self.kept, self.edits, self.context, self.grad = kept, edits, context, grad
        self.cache: dict[str, Tensor] = {}

    @classmethod
    def of(
        cls,
        hook_names: Sequence[str],
        cache: Names,
        edits: Sequence[Edit],
        tokens: Tensor,
        mask: Tensor,
        prompt_lengths: Sequence[int] | None,
        grad: bool,
    ) -> "RunTap | None":
        """The tap for these wishes; None when there are none.

        Raises:
            HookNameError: a name matches no hook point.
        """
        kept = kept_names(hook_names, cache)
        points = by_point(edits, hook_names)
        if not kept and not points:
            return None
        lengths = None if prompt_lengths is None else torch.as_tensor(prompt_lengths)
        return cls(kept, points, EditContext.of(tokens, mask, lengths), grad)

    def wants(self, name: str) -> bool:
        """Whether the point is edited or kept."""
        return name in self.kept or name in self.edits

    def __call__(self, name: str, x: Tensor) -> Tensor:
        for edit in self.edits.get(name, ()):
            x = edit.apply(name, x, self.context)
        if name in self.kept:
            self.cache[name] = x if self.grad else x.detach()
        return x


def kept_names(hook_names: Sequence[str], cache: Names) -> frozenset[str]:
    """Full names of what `cache` asks for."""
    if isinstance(cache, str):
        return frozenset(everything(hook_names) if cache == "all" else resolve(cache, hook_names))
    if isinstance(cache, tuple) and len(cache) == 2 and isinstance(cache[1], int):
        return frozenset(resolve(cache, hook_names))
    return frozenset(full for name in cache for full in resolve(name, hook_names))
