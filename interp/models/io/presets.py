"""Named sets of settings, from one-layer toys to GPT-2."""

from collections.abc import Callable
from typing import Any

from interp.core.errors import ConfigError, near_misses
from interp.models.config import GPTConfig


def demo(**changes: Any) -> GPTConfig:
    """About 0.4 M parameters with Llama's switches, so that it exports exactly to that class.

    Heads are 32 wide, embeddings start large and queries and keys have no norm: each of these lets
    the heads that bind a name to its value form sooner.
    """
    small = dict(n_layers=4, d_model=96, n_heads=3, d_mlp=192, d_vocab=256, n_ctx=256)
    start = dict(init_std=None, embed_std=0.5)
    return _with({**small, **start, **_FOR_MUON, **changes}, **_LLAMA)


def shakespeare(**changes: Any) -> GPTConfig:
    """Our own recipe for characters: rotary, QK-norm, ReLU², zero output projections, untied."""
    return _with(
        changes,
        n_layers=4,
        d_model=128,
        n_heads=4,
        d_vocab=65,
        n_ctx=64,
        norm_bias=False,
        bias=False,
        positions="rotary",
        qk_norm=True,
        act="relu2",
        tied=False,
        **_FOR_MUON,
    )


def nanogpt_shakespeare(**changes: Any) -> GPTConfig:
    """The laptop model of nanoGPT's README: learned positions, GELU, tied, no biases."""
    return _with(
        changes,
        n_layers=4,
        d_model=128,
        n_heads=4,
        d_vocab=65,
        n_ctx=64,
        norm_bias=False,
        bias=False,
        act="gelu",
    )


def gpt2_small(**changes: Any) -> GPTConfig:
    """GPT-2 as it was released: 124 M parameters."""
    return _with(changes, n_layers=12, d_model=768, n_heads=12, d_vocab=50_257, n_ctx=1024)


def llama_tiny(**changes: Any) -> GPTConfig:
    """Llama's switches, small: rotary, RMS norm, SwiGLU, grouped queries, no biases, untied."""
    return _with(
        changes,
        n_layers=2,
        d_model=64,
        n_heads=4,
        n_key_value_heads=2,
        d_mlp=172,
        d_vocab=256,
        n_ctx=128,
        **_LLAMA,
    )


def qwen3_tiny(**changes: Any) -> GPTConfig:
    """Qwen 3's switches, small: Llama's, and RMS norm of queries and keys."""
    small = dict(n_layers=2, d_model=64, n_heads=4, n_key_value_heads=2, d_mlp=172)
    return _qwen3(**{**small, "d_vocab": 256, "n_ctx": 128, **changes})


def attn_only_1l(**changes: Any) -> GPTConfig:
    """One layer of attention and nothing else: skip-trigrams."""
    return _attn_only(**{"n_layers": 1, **changes})


def attn_only_2l(**changes: Any) -> GPTConfig:
    """Two layers of attention: the smallest model with induction heads (Elhage et al. 2021)."""
    return _attn_only(**{"n_layers": 2, **changes})


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


def _with(changes: dict[str, Any], **settings: Any) -> GPTConfig:
    return GPTConfig(**{**settings, **changes})


def _qwen3(**settings: Any) -> GPTConfig:
    return _with(settings, **_LLAMA, qk_norm=True)


def _attn_only(**changes: Any) -> GPTConfig:
    small = dict(d_model=64, n_heads=4, d_vocab=64, n_ctx=128, attn_only=True, tied=False)
    return _with(changes, **small)
