"""Names of hook points: TransformerLens' full names, and the short form `("resid_post", 2)`.

Knows nothing of any model: every function works on a list of full names.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

from torch import Tensor

from interp.core.errors import HookNameError, near_misses

SHORT: dict[str, str] = {
    "embed": "hook_embed",
    "pos_embed": "hook_pos_embed",
    "resid_pre": "blocks.{}.hook_resid_pre",
    "q_input": "blocks.{}.attn.hook_q_input",
    "k_input": "blocks.{}.attn.hook_k_input",
    "v_input": "blocks.{}.attn.hook_v_input",
    "ln1_scale": "blocks.{}.ln1.hook_scale",
    "ln1_normalized": "blocks.{}.ln1.hook_normalized",
    "q": "blocks.{}.attn.hook_q",
    "k": "blocks.{}.attn.hook_k",
    "v": "blocks.{}.attn.hook_v",
    "q_norm_scale": "blocks.{}.attn.q_norm.hook_scale",
    "q_norm_normalized": "blocks.{}.attn.q_norm.hook_normalized",
    "k_norm_scale": "blocks.{}.attn.k_norm.hook_scale",
    "k_norm_normalized": "blocks.{}.attn.k_norm.hook_normalized",
    "rot_q": "blocks.{}.attn.hook_rot_q",
    "rot_k": "blocks.{}.attn.hook_rot_k",
    "attn_scores": "blocks.{}.attn.hook_attn_scores",
    "pattern": "blocks.{}.attn.hook_pattern",
    "z": "blocks.{}.attn.hook_z",
    "result": "blocks.{}.attn.hook_result",
    "attn_out": "blocks.{}.hook_attn_out",
    "resid_mid": "blocks.{}.hook_resid_mid",
    "mlp_in": "blocks.{}.hook_mlp_in",
    "ln2_scale": "blocks.{}.ln2.hook_scale",
    "ln2_normalized": "blocks.{}.ln2.hook_normalized",
    "pre": "blocks.{}.mlp.hook_pre",
    "pre_linear": "blocks.{}.mlp.hook_pre_linear",
    "post": "blocks.{}.mlp.hook_post",
    "mlp_out": "blocks.{}.hook_mlp_out",
    "resid_post": "blocks.{}.hook_resid_post",
    "final_scale": "ln_final.hook_scale",
    "final_normalized": "ln_final.hook_normalized",
}
"""Short name to full name, in the order of the forward pass; `{}` is the layer."""

Name = str | tuple[str, int]
"""A hook point: `blocks.2.hook_resid_post`, `("resid_post", 2)`; `resid_post` = every layer's."""

Names = Sequence[Name] | Literal["all"]

SWITCHES = {
    "result": "use_attn_result",
    "q_input": "use_split_qkv_input",
    "k_input": "use_split_qkv_input",
    "v_input": "use_split_qkv_input",
    "mlp_in": "use_hook_mlp_in",
}
"""The settings of TransformerLens that turn its expensive points on."""

EXPENSIVE = frozenset(SWITCHES)
"""Points that are made only when they are named: `cache="all"` leaves them out."""


class Tap(Protocol):
    """What a forward pass calls at its hook points."""

    def wants(self, name: str) -> bool:
        """Whether the point is live; a layer takes its exact path only for live points."""

    def __call__(self, name: str, x: Tensor) -> Tensor:
        """See the activation `x`; what is returned is used in its place."""


def resolve(name: Name, hook_names: Sequence[str]) -> list[str]:
    """Full names that `name` stands for, in the order of the forward pass.

    Args:
        name: a full name, a short name (every layer), or (short name, layer); layer -1 = the last.
        hook_names: the full names the model has.

    Raises:
        HookNameError: nothing matches (the nearest names are shown), or `name` is no name.

    Example:
        >>> resolve(("resid_pre", -1), ["blocks.0.hook_resid_pre", "blocks.1.hook_resid_pre"])
        ['blocks.1.hook_resid_pre']
    """
    if isinstance(name, str):
        matches = [name] if name in set(hook_names) else layers_of(hook_names, name)
    elif _is_at_layer(name):
        matches = _at_layer(name, hook_names)
    else:
        raise HookNameError(
            "A hook point is named by a text, or by a short name and a layer, as ('z', 0); got "
            f"{_written(name)}."
        )
    if not matches:
        raise _unknown(name, hook_names)
    return matches


def resolve_all(names: Names, hook_names: Sequence[str]) -> list[str]:
    """Full names that several names stand for; `"all"` leaves the expensive points out.

    Raises:
        HookNameError: one matches nothing.
    """
    if names == "all":
        return everything(hook_names)
    # One name, or one (short name, layer), in place of a sequence of them is meant as such.
    single = isinstance(names, str) or _is_at_layer(names) or not isinstance(names, Iterable)
    return [full for name in ([names] if single else names) for full in resolve(name, hook_names)]


def everything(hook_names: Iterable[str]) -> list[str]:
    """All names but the expensive ones: what `cache="all"` means.

    Args:
        hook_names: the full names the model has.
    """
    return [name for name in hook_names if short_name(name) not in EXPENSIVE]


def layers_of(names: Iterable[str], short: str) -> list[str]:
    """Those of `names` that are the point `short` of some layer, by layer."""
    if short not in SHORT:
        return []
    pattern = re.compile(re.escape(SHORT[short]).replace(r"\{\}", r"(\d+)") + "$")
    matches = [match for match in map(pattern.match, names) if match]
    matches.sort(key=lambda match: int(match.group(1)) if match.groups() else 0)
    return [match.group(0) for match in matches]


def short_name(name: str) -> str:
    """The short form of a full name, without its layer; a name that has none comes back as it is.

    Example:
        >>> short_name("blocks.3.attn.hook_z")
        'z'
    """
    return _SHORT_OF.get(re.sub(r"(?<=^blocks\.)\d+", "{}", name), name)


def layer_of(name: str) -> int | None:
    """The layer of a full name; None for points outside the blocks."""
    match = re.match(r"blocks\.(\d+)\.", name)
    return int(match.group(1)) if match else None


def find_cached(cache: Mapping[str, Tensor], name: Name | tuple[str]) -> Tensor:
    """One activation out of a cache; a negative layer counts back from the last cached one.

    Raises:
        HookNameError: it was not cached, or a short name fits several layers.
    """
    if isinstance(name, tuple) and len(name) == 1:
        name = name[0]
    try:
        matches = resolve(name, list(cache))
    except HookNameError as error:
        names = ", ".join(list(cache)[:12]) or "nothing"
        text = f"{_written(name)} was not cached; cached: {names}. Name it in cache=[…]."
        raise HookNameError(text) from error
    if len(matches) > 1:
        text = f"{name!r} was cached at {len(matches)} layers; give one, as in run[{name!r}, 0]"
        raise HookNameError(f"{text}, or stack them with run.stack({name!r}).")
    return cache[matches[0]]


_SHORT_OF = {full: short for short, full in SHORT.items()}


def _is_at_layer(name: object) -> bool:
    if not isinstance(name, tuple | list) or len(name) != 2:
        return False
    short, layer = name
    return isinstance(short, str) and isinstance(layer, int) and not isinstance(layer, bool)


def _at_layer(name: tuple[str, int], hook_names: Sequence[str]) -> list[str]:
    short, layer = name
    every = layers_of(hook_names, short)
    if layer < 0:
        return every[layer : layer + 1 or None] if -layer <= len(every) else []
    return [full for full in every if layer_of(full) == layer]


def _unknown(name: Name, hook_names: Sequence[str]) -> HookNameError:
    layers = [layer for layer in map(layer_of, hook_names) if layer is not None]
    size = f" This model has layers 0-{max(layers)}." if layers else " It has no layers."
    if not isinstance(name, str) and layers_of(hook_names, name[0]):
        return HookNameError(f"No hook point matches {_written(name)}: no such layer.{size}")
    spoken = name if isinstance(name, str) else name[0]
    shorts = [short_name(full) for full in hook_names]
    known = list(hook_names) if "." in spoken or spoken.startswith("hook") else shorts
    text = f"No hook point matches {_written(name)}.{near_misses(spoken, known)}{size}"
    return HookNameError(text)


def _written(name: object) -> str:
    text = repr(name)
    return text if len(text) <= 120 else f"{text[:119]}…"
