"""The settings of our transformer, checked when they are made."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch.nn.functional as F

from interp.core.errors import ConfigError
from interp.models.rotary import check_scaling

ACTIVATIONS = {
    "gelu": F.gelu,
    "gelu_new": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "relu": F.relu,
    "relu2": lambda x: F.relu(x).square(),
}


@dataclass(frozen=True, kw_only=True)
class GPTConfig:
    """Sizes and switches: the GPT-2, Llama and Qwen 3 families, and what lies between.

    Attributes:
        n_key_value_heads: fewer than `n_heads` = grouped-query attention; 0 = `n_heads`.
        d_head: 0 = d_model / n_heads.
        d_mlp: 0 = 4 d_model.
        rope_scaling: None, or `transformers`' dict of type `linear`, `llama3` or, with the same
            factor for every length, `longrope`.
        gated: the MLP has a gate: act(x W_gate) * (x W_in), SwiGLU with act="silu".
        bias: of attention and MLP; `attn_bias`, `mlp_bias` overrule it one by one.
        qk_norm: RMS norm of every query and key, with a learned gain.
        init_std: of matrices; None = 1 / sqrt(inputs). Output projections are divided by
            sqrt(2 n_layers), or are zero with `zero_projections`.
        eos_token_ids: tokens that end a text, besides those that the tokenizer itself names.
        head_std: of the unembedding when it is not tied.
    """

    n_layers: int
    d_model: int
    n_heads: int
    d_vocab: int
    n_ctx: int
    n_key_value_heads: int = 0
    d_head: int = 0
    d_mlp: int = 0
    norm: Literal["layer", "rms", "none"] = "layer"
    norm_eps: float = 1e-5
    norm_bias: bool = True
    positions: Literal["learned", "rotary", "none"] = "learned"
    rope_theta: float = 10_000.0
    rope_scaling: dict[str, Any] | None = None
    act: Literal["gelu", "gelu_new", "silu", "relu", "relu2"] = "gelu_new"
    gated: bool = False
    bias: bool = True
    attn_bias: bool | None = None
    mlp_bias: bool | None = None
    tied: bool = True
    attn_only: bool = False
    qk_norm: bool = False
    dropout: float = 0.0
    init_std: float | None = 0.02
    embed_std: float = 0.02
    head_std: float = 0.02
    zero_projections: bool = False
    eos_token_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self._check_kinds()
        derived = {
            "n_key_value_heads": self.n_key_value_heads or self.n_heads,
            "d_head": self.d_head or self.d_model // max(self.n_heads, 1),
            "d_mlp": 0 if self.attn_only else self.d_mlp or 4 * self.d_model,
            "attn_bias": self.bias if self.attn_bias is None else self.attn_bias,
            "mlp_bias": self.bias if self.mlp_bias is None else self.mlp_bias,
            "eos_token_ids": tuple(self.eos_token_ids),
        }
        for field, value in derived.items():
            object.__setattr__(self, field, value)
        self._check()

    def _check_kinds(self) -> None:
        """Refuse a value that is no whole number, number or switch where one is needed."""
        for field, least in _WHOLE.items():
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                needed = f"a whole number {'above 0' if least else 'from 0'}"
                raise ConfigError(f"{field} must be {needed}; it is {value!r}.")
        ends = self.eos_token_ids
        if not isinstance(ends, list | tuple) or not all(type(token) is int for token in ends):
            raise ConfigError(f"eos_token_ids must be whole numbers; they are {ends!r}.")
        for field in _SWITCHES:
            value = getattr(self, field)
            if not isinstance(value, bool) and (value is not None or field not in _MAY_BE_NONE):
                raise ConfigError(f"{field} must be true or false; it is {value!r}.")
        for field, (low, high) in _NUMBERS.items():
            value = getattr(self, field)
            if value is None and field in _MAY_BE_NONE:
                continue
            real = isinstance(value, int | float) and not isinstance(value, bool)
            if not real or not low <= value < high:
                bound = f"from {low:g}" if high == math.inf else f"in [{low:g}, {high:g})"
                raise ConfigError(f"{field} must be a number {bound}; it is {value!r}.")

    def _check(self) -> None:
        if self.d_head < 1:
            raise ConfigError(f"d_head must be a whole number above 0; it is {self.d_head!r}.")
        if self.n_heads % self.n_key_value_heads:
            heads = f"{self.n_heads} heads over {self.n_key_value_heads} key-value heads"
            raise ConfigError(f"n_heads must be a multiple of n_key_value_heads; got {heads}.")
        if self.positions == "rotary" and self.d_head % 2:
            raise ConfigError(f"Rotary positions need an even d_head; it is {self.d_head}.")
        for field, choices in _CHOICES.items():
            value = getattr(self, field)
            if value not in choices:
                raise ConfigError(f"{field} must be one of {', '.join(choices)}; it is {value!r}.")
        check_scaling(self.rope_scaling, self.d_head)
        if any(not isinstance(i, int) or isinstance(i, bool) for i in self.eos_token_ids):
            raise ConfigError(f"eos_token_ids must be ids; they are {self.eos_token_ids!r}.")

    def to_json(self) -> str:
        """The settings as JSON text."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> "GPTConfig":
        """Settings from JSON text.

        Raises:
            ConfigError: not JSON, an unknown or missing field, or a value that cannot be.

        Example:
            >>> small = GPTConfig(n_layers=1, d_model=8, n_heads=2, d_vocab=10, n_ctx=16)
            >>> GPTConfig.from_json(small.to_json()) == small
            True
        """
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"These are not the settings of a GPT: {error}") from error


_CHOICES = {
    "norm": ("layer", "rms", "none"),
    "positions": ("learned", "rotary", "none"),
    "act": tuple(ACTIVATIONS),
}
_WHOLE = {"n_layers": 1, "d_model": 1, "n_heads": 1, "d_vocab": 1, "n_ctx": 1}
_WHOLE |= {"n_key_value_heads": 0, "d_head": 0, "d_mlp": 0}
_SWITCHES = ("norm_bias", "gated", "bias", "attn_bias", "mlp_bias", "tied", "attn_only", "qk_norm")
_SWITCHES += ("zero_projections",)
_NUMBERS: Mapping[str, tuple[float, float]] = {
    "norm_eps": (0.0, 1.0),
    "rope_theta": (1.0, math.inf),
    "dropout": (0.0, 1.0),
    "init_std": (0.0, math.inf),
    "embed_std": (0.0, math.inf),
    "head_std": (0.0, math.inf),
}
_MAY_BE_NONE = ("attn_bias", "mlp_bias", "init_std")
