"""Named sets of settings, from one-layer toys to GPT-2."""

from collections.abc import Callable
from typing import Any

from interp.core.errors import ConfigError, near_misses
from interp.models.config import GPTConfig

_FOR_MUON = dict(zero_projections=True, head_std=0.001)
_LLAMA = dict(
    norm="rms",
    norm_eps=1e-6,
    positions="rotary",
    act="silu",
    gated=True,
    bias=False,
    tied=False,
)
_TINY_LLAMA = _LLAMA | dict(
    n_layers=2, d_model=64, n_heads=4, n_key_value_heads=2, d_mlp=172, d_vocab=256, n_ctx=128
)
_CHARACTERS = dict(
    n_layers=4, d_model=128, n_heads=4, d_vocab=65, n_ctx=64, norm_bias=False, bias=False
)
_ATTN_ONLY = dict(d_model=64, n_heads=4, d_vocab=64, n_ctx=128, attn_only=True, tied=False)


def demo(**changes: Any) -> GPTConfig:
    """About 0.4 M parameters with Llama's switches, so that it exports exactly to that class.

    Heads are 32 wide, embeddings start large and queries and keys have no norm: each of these lets
    the heads that bind a name to its value form sooner.
    """
    small = dict(n_layers=4, d_model=96, n_heads=3, d_mlp=192, d_vocab=256, n_ctx=256)
    start = _FOR_MUON | dict(init_std=None, embed_std=0.5)
    return GPTConfig(**_LLAMA | small | start | changes)


def shakespeare(**changes: Any) -> GPTConfig:
    """Our own recipe for characters: rotary, QK-norm, ReLU², zero output projections, untied."""
    switches = dict(positions="rotary", qk_norm=True, act="relu2", tied=False)
    return GPTConfig(**_CHARACTERS | _FOR_MUON | switches | changes)


def nanogpt_shakespeare(**changes: Any) -> GPTConfig:
    """The laptop model of nanoGPT's README: learned positions, GELU, tied, no biases."""
    return GPTConfig(**_CHARACTERS | dict(act="gelu") | changes)


def gpt2_small(**changes: Any) -> GPTConfig:
    """GPT-2 as it was released: 124 M parameters."""
    sizes = dict(n_layers=12, d_model=768, n_heads=12, d_vocab=50_257, n_ctx=1024)
    return GPTConfig(**sizes | changes)


def llama_tiny(**changes: Any) -> GPTConfig:
    """Llama's switches, small: rotary, RMS norm, SwiGLU, grouped queries, no biases, untied."""
    return GPTConfig(**_TINY_LLAMA | changes)


def qwen3_tiny(**changes: Any) -> GPTConfig:
    """Qwen 3's switches, small: Llama's, and RMS norm of queries and keys."""
    return GPTConfig(**_TINY_LLAMA | dict(qk_norm=True) | changes)


def attn_only_1l(**changes: Any) -> GPTConfig:
    """One layer of attention and nothing else: skip-trigrams."""
    return GPTConfig(**_ATTN_ONLY | dict(n_layers=1) | changes)


def attn_only_2l(**changes: Any) -> GPTConfig:
    """Two layers of attention: the smallest model with induction heads (Elhage et al. 2021)."""
    return GPTConfig(**_ATTN_ONLY | dict(n_layers=2) | changes)


PRESETS: dict[str, Callable[..., GPTConfig]] = {
    "demo": demo,
    "gpt2-small": gpt2_small,
    "llama-tiny": llama_tiny,
    "qwen3-tiny": qwen3_tiny,
    "attn-only-1l": attn_only_1l,
    "attn-only-2l": attn_only_2l,
    "nanogpt-shakespeare": nanogpt_shakespeare,
    "shakespeare": shakespeare,
}


def get_preset(name: str, **changes: Any) -> GPTConfig:
    """The settings of a preset, with fields changed.

    Raises:
        ConfigError: no such preset, or a field that cannot be.

    Example:
        >>> get_preset("gpt2-small", n_layers=2).n_layers
        2
    """
    if name not in PRESETS:
        raise ConfigError(f"There is no preset {name!r}.{near_misses(name, PRESETS)}")
    try:
        return PRESETS[name](**changes)
    except TypeError as error:
        raise ConfigError(f"Preset {name!r} cannot be changed so: {error}") from error
