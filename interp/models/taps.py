"""The tap of a run: at each hook point it applies the edits, then keeps what was asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from interp.core.edits import Edit, EditContext, by_point
from interp.core.hooks import SHORT, Names, layer_of, resolve_all
from interp.models.config import GPTConfig


@dataclass
class RunTap:
    """Applies the edits of each point, then keeps what was asked for.

    Attributes:
        cached_points: full names of the points that are kept.
        edits: edits by the full name of their point.
        context: what edits may ask of the pass.
        grad: whether what is kept stays in the autograd graph.
        cache: full name to activation, in the order of the forward pass.
        largest: of each edited point the largest size of a number, for `check_edited`.
    """

    cached_points: frozenset[str]
    edits: Mapping[str, Sequence[Edit]]
    context: EditContext
    grad: bool = False
    cache: dict[str, Tensor] = field(default_factory=dict)
    largest: dict[str, Tensor] = field(default_factory=dict)

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
        """The tap of a run with these arguments; None when no point is edited or kept.

        Raises:
            HookNameError: a name matches no hook point.
            ConfigError: an edit meets no position of any row.
        """
        cached_points = frozenset(resolve_all(cache, hook_names))
        points = by_point(edits, hook_names)
        if not cached_points and not points:
            return None
        lengths = None if prompt_lengths is None else torch.as_tensor(prompt_lengths)
        context = EditContext.of(tokens, mask, lengths)
        for edit in edits:
            edit.where.check_within(context)
        return cls(cached_points, points, context, grad)

    def wants(self, name: str) -> bool:
        """Whether the point is edited or kept."""
        return name in self.cached_points or name in self.edits

    def stop_at_layer(self) -> int | None:
        """The first layer behind all edited and kept points; None = the final norm has one."""
        names = self.cached_points | self.edits.keys()
        if any(name.startswith("ln_final.") for name in names):
            return None
        return 1 + max((n for n in map(layer_of, names) if n is not None), default=-1)

    def __call__(self, name: str, x: Tensor) -> Tensor:
        for edit in self.edits.get(name, ()):
            x = edit.apply(name, x, self.context)
        if name in self.edits and not name.endswith("attn_scores"):  # where -inf cuts a link
            self.largest[name] = x.detach().abs().max()
        if name in self.cached_points:
            self.cache[name] = x if self.grad else x.detach()
        return x


def hook_names(cfg: GPTConfig) -> tuple[str, ...]:
    """Full names of all points a model with these settings has, as its forward pass meets them."""
    missing = set() if cfg.positions == "learned" else {"pos_embed"}
    if cfg.positions != "rotary":
        missing |= {"rot_q", "rot_k"}
    if cfg.attn_only:
        missing |= {"resid_mid", "mlp_in", "ln2_scale", "ln2_normalized", "pre", "post", "mlp_out"}
    if cfg.attn_only or not cfg.gated:
        missing |= {"pre_linear"}
    if not cfg.qk_norm:
        missing |= {f"{x}_norm_{y}" for x in "qk" for y in ("scale", "normalized")}
    points = [full for short, full in SHORT.items() if short not in missing]
    inner = [full for full in points if "{}" in full]
    blocks = [full.format(layer) for layer in range(cfg.n_layers) for full in inner]
    first = [full for full in points if full.endswith("embed")]
    return (*first, *blocks, *(full for full in points if "final" in full))
