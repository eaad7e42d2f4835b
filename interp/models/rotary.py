"""Rotary positions, in the half-split layout of `transformers`.

Source: Su et al. 2021, "RoFormer".
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.errors import ConfigError


def rotate(
    x: Float[Tensor, "batch pos head d_head"],
    cos: Float[Tensor, "... d_head"],
    sin: Float[Tensor, "... d_head"],
) -> Float[Tensor, "batch pos head d_head"]:
    """Turn each pair (x_i, x_{i + d/2}) by its position's angle; `sin` carries the sign."""
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)


def rotary_tables(
    d_head: int, n_ctx: int, theta: float, scaling: Mapping[str, Any] | None
) -> tuple[Float[Tensor, "n_ctx d_head"], Float[Tensor, "n_ctx d_head"]]:
    """Cosine and signed sine of every position.

    Args:
        scaling: one that `check_scaling` lets pass; None = as trained.
    """
    # Pair i of a head is (x_i, x_{i + d/2}) and turns by position * theta^(-2i/d):
    #   (a, b) -> (a cos - b sin, b cos + a sin).
    # As whole vectors this is x cos + roll(x, d/2) sin with sin negative in the first half, since
    # the roll puts b where a was and a where b was.
    frequencies = rotary_frequencies(d_head, theta, scaling)
    angles = torch.outer(torch.arange(n_ctx, dtype=torch.float32), frequencies)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)


def rotary_frequencies(
    d_head: int, theta: float, scaling: Mapping[str, Any] | None
) -> Float[Tensor, "d_head/2"]:
    """By how much each pair turns from one position to the next, in radians.

    Args:
        scaling: one that `check_scaling` lets pass; None = as trained.
    """
    powers = torch.arange(0, d_head, 2, dtype=torch.float32) / d_head
    frequencies, kind = 1.0 / theta**powers, _kind(scaling or {})
    scales = {"linear": _linear, "llama3": _llama3, "longrope": _longrope}
    return scales[kind](frequencies, scaling) if kind in scales else frequencies


ROPE_KEYS: dict[str, tuple[str, ...]] = {
    "default": (),
    "linear": ("factor",),
    "llama3": (
        "factor",
        "low_freq_factor",
        "high_freq_factor",
        "original_max_position_embeddings",
    ),
    "longrope": (
        "short_factor",
        "long_factor",
        "attention_factor",
        "original_max_position_embeddings",
    ),
}
"""The kinds of rotary scaling that are computed here, and the settings of each."""


def check_scaling(scaling: Any, d_head: int) -> None:
    """Refuse a scaling that is of another kind, or has other settings, than is computed here.

    Args:
        scaling: None, or `transformers`' dictionary: `linear`, `llama3`, or `longrope` with the
            same factors for short and long texts, one a pair, and an attention factor of 1.

    Raises:
        ConfigError: the setting is named.
    """
    if scaling is None:
        return
    if not isinstance(scaling, Mapping):
        raise ConfigError(f"rope_scaling must be a dictionary of settings; it is {scaling!r}.")
    kind = _kind(scaling)
    if not isinstance(kind, str) or kind not in ROPE_KEYS:
        raise ConfigError(f"rope_type must be one of {', '.join(ROPE_KEYS)}; it is {kind!r}.")
    given = set(scaling) - {"rope_type", "type"}
    missing = [name for name in ROPE_KEYS[kind] if name not in given]
    if missing:
        raise ConfigError(f"rope_scaling of type {kind} needs {', '.join(missing)}; not given.")
    unknown = sorted(map(repr, given - set(ROPE_KEYS[kind])))
    if unknown:
        raise ConfigError(f"rope_scaling of type {kind} has {unknown[0]}, which is unknown here.")
    for name in ROPE_KEYS[kind]:
        values = scaling[name] if name in ("short_factor", "long_factor") else [scaling[name]]
        if not isinstance(values, list | tuple) or not all(map(_is_positive, values)):
            raise ConfigError(f"{name} must be above 0 and finite; it is {scaling[name]!r}.")
    if kind == "llama3" and not scaling["low_freq_factor"] < scaling["high_freq_factor"]:
        raise ConfigError(
            "low_freq_factor must be below high_freq_factor; they are "
            f"{scaling['low_freq_factor']} and {scaling['high_freq_factor']}."
        )
    if kind == "longrope":
        _check_longrope(scaling, d_head)


def _check_longrope(scaling: Mapping[str, Any], d_head: int) -> None:
    short, long = scaling["short_factor"], scaling["long_factor"]
    if list(short) != list(long) or len(short) != d_head // 2 or scaling["attention_factor"] != 1:
        raise ConfigError(
            f"longrope must have one and the same factor for each of {d_head // 2} pairs in "
            "short_factor and long_factor, and attention_factor 1; this one has "
            f"{len(short)}, {len(long)} and {scaling['attention_factor']}."
        )


def _is_positive(value: Any) -> bool:
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return real and 0 < value < math.inf


def _kind(scaling: Mapping[str, Any]) -> Any:
    return scaling.get("rope_type", scaling.get("type", "default"))


def _longrope(frequencies: Tensor, scaling: Mapping[str, Any]) -> Tensor:
    return frequencies / torch.tensor(scaling["short_factor"], dtype=torch.float32)


def _linear(frequencies: Tensor, scaling: Mapping[str, Any]) -> Tensor:
    return frequencies / scaling["factor"]


def _llama3(frequencies: Tensor, scaling: Mapping[str, Any]) -> Tensor:
    """Long waves are stretched, short ones kept, those between blended."""
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    context, factor = scaling["original_max_position_embeddings"], scaling["factor"]
    # Lengths are in tokens, so context / length is how often a wave turned within the context that
    # was trained on. What turned often enough (> high) tells near positions apart and stays; what
    # never turned fully (< low) would meet new angles in a longer context and is interpolated.
    lengths = 2 * math.pi / frequencies
    smooth = (context / lengths - low) / (high - low)
    blended = (1 - smooth) * frequencies / factor + smooth * frequencies
    scaled = torch.where(lengths > context / low, frequencies / factor, frequencies)
    between = (lengths >= context / high) & (lengths <= context / low)
    return torch.where(between, blended, scaled)
