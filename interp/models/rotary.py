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
        scaling: as `transformers` writes it, of type `llama3` or `linear`; None = as trained.

    Raises:
        ConfigError: another kind of scaling, or one of its numbers is missing.
    """
    # Pair i of a head is (x_i, x_{i + d/2}) and turns by position * theta^(-2i/d):
    #   (a, b) -> (a cos - b sin, b cos + a sin).
    # As whole vectors this is x cos + roll(x, d/2) sin with sin negative in the first half, since
    # the roll puts b where a was and a where b was.
    powers = torch.arange(0, d_head, 2, dtype=torch.float32) / d_head
    frequencies = _scaled(1.0 / theta**powers, scaling or {})
    angles = torch.outer(torch.arange(n_ctx, dtype=torch.float32), frequencies)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)


def _scaled(frequencies: Tensor, scaling: Mapping[str, Any]) -> Tensor:
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    scale = {"default": lambda f, _: f, "linear": _linear, "llama3": _llama3}.get(kind)
    if scale is None:
        raise ConfigError(f"rope_scaling must be of type llama3 or linear; it is {kind!r}.")
    try:
        return scale(frequencies, scaling)
    except KeyError as error:
        raise ConfigError(f"rope_scaling of type {kind} needs {error}; add it.") from error


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
