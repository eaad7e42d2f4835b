"""Our config to a Hugging Face `config.json` and back, for the three families we share with it.

Plain dictionaries in, plain dictionaries out: nothing here imports transformers.
"""

from collections.abc import Callable, Mapping
from typing import Any

from interp.core.errors import ConfigError, near_misses
from interp.models.config import GPTConfig

HuggingFaceSettings = Mapping[str, Any]

ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_new",
    "gelu_fast": "gelu_new",
    "gelu_pytorch_tanh": "gelu_new",
    "silu": "silu",
    "swish": "silu",
    "relu": "relu",
    "relu2": "relu2",
}


def read_config(settings: HuggingFaceSettings) -> GPTConfig:
    """Our config for a Hugging Face one, given as the dictionary in `config.json`.

    Raises:
        ConfigError: another architecture, or a setting that our model does not have.

    Example:
        >>> read_config({"architectures": ["GPT2LMHeadModel"], "n_layer": 2, "n_embd": 64,
        ...              "n_head": 4}).d_mlp
        256
    """
    architecture = architecture_of(settings)
    return GPTConfig(**READERS[architecture](settings))


def write_config(cfg: GPTConfig) -> dict[str, Any]:
    """The `config.json` dictionary of the stock transformers class that computes what `cfg` does.

    Raises:
        ConfigError: no class does; the settings in the way are named.
    """
    writer = _gpt2_settings if cfg.positions == "learned" else _llama_settings
    return writer(cfg)


def architecture_of(settings: HuggingFaceSettings) -> str:
    """`GPT2LMHeadModel`, `LlamaForCausalLM` or `Qwen3ForCausalLM`, or ConfigError."""
    named = settings.get("architectures") or []
    by_type = {"gpt2": "GPT2LMHeadModel", "llama": "LlamaForCausalLM", "qwen3": "Qwen3ForCausalLM"}
    architecture = named[0] if named else by_type.get(settings.get("model_type", ""), "none")
    if architecture not in READERS:
        raise ConfigError(
            f"A Hugging Face model must be one of {', '.join(READERS)}; got "
            f"{architecture!r}.{near_misses(architecture, READERS)} "
            "Other architectures open through TransformerLens: load_model(name)."
        )
    return architecture


_GPT2 = {
    "n_layers": ("n_layer", 12),
    "d_model": ("n_embd", 768),
    "n_heads": ("n_head", 12),
    "d_mlp": ("n_inner", 0),
    "d_vocab": ("vocab_size", 50257),
    "n_ctx": ("n_positions", 1024),
    "act": ("activation_function", "gelu_new"),
    "tied": ("tie_word_embeddings", True),
    "norm_eps": ("layer_norm_epsilon", 1e-5),
    "dropout": ("resid_pdrop", 0.1),
}
_LLAMA = {
    "n_layers": ("num_hidden_layers", 32),
    "d_model": ("hidden_size", 4096),
    "n_heads": ("num_attention_heads", 32),
    "n_key_value_heads": ("num_key_value_heads", 0),
    "d_head": ("head_dim", 0),
    "d_mlp": ("intermediate_size", 11008),
    "d_vocab": ("vocab_size", 32000),
    "n_ctx": ("max_position_embeddings", 2048),
    "act": ("hidden_act", "silu"),
    "attn_bias": ("attention_bias", False),
    "mlp_bias": ("mlp_bias", False),
    "tied": ("tie_word_embeddings", False),
    "norm_eps": ("rms_norm_eps", 1e-6),
}
"""Our field to their setting, and its value where a file leaves it out."""


def _read(settings: HuggingFaceSettings, table: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    fields = {ours: settings.get(theirs, default) for ours, (theirs, default) in table.items()}
    # A size that follows from the others may be null in their files; in ours it is 0.
    sizes = {name: fields.get(name) or 0 for name in ("n_key_value_heads", "d_head", "d_mlp")}
    return fields | sizes | {"act": _activation(fields["act"])}


def _written(cfg: GPTConfig, table: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    return {theirs: getattr(cfg, ours) for ours, (theirs, _) in table.items()}


def _gpt2(settings: HuggingFaceSettings) -> dict[str, Any]:
    _refuse(settings, "GPT2LMHeadModel", add_cross_attention=False)
    return _read(settings, _GPT2)


def _llama(settings: HuggingFaceSettings) -> dict[str, Any]:
    theta, scaling = _rope(settings)
    switches = dict(norm="rms", norm_bias=False, gated=True, bias=False, positions="rotary")
    return _read(settings, _LLAMA) | switches | {"rope_theta": theta, "rope_scaling": scaling}


def _qwen3(settings: HuggingFaceSettings) -> dict[str, Any]:
    n_layers = settings.get("num_hidden_layers", 32)
    kinds = settings.get("layer_types") or ["full_attention"] * n_layers
    sliding = settings.get("use_sliding_window", False) and settings.get("sliding_window")
    if set(kinds) != {"full_attention"} or (
        sliding and settings.get("max_window_layers", 28) < n_layers
    ):
        raise ConfigError(
            "Every layer must have full attention; this Qwen3ForCausalLM has sliding windows "
            "(use_sliding_window, layer_types): open it through TransformerLens instead."
        )
    defaults = {"intermediate_size": 22016, "max_position_embeddings": 32768, "head_dim": 128}
    defaults |= {"vocab_size": 151936, "num_key_value_heads": 32}
    may_be_null = ("num_key_value_heads",)
    given = {k: v for k, v in settings.items() if v is not None or k in may_be_null}
    return _llama(defaults | given | {"mlp_bias": False}) | {"qk_norm": True}


READERS: dict[str, Callable[[HuggingFaceSettings], dict[str, Any]]] = {
    "GPT2LMHeadModel": _gpt2,
    "LlamaForCausalLM": _llama,
    "Qwen3ForCausalLM": _qwen3,
}


def _refuse(settings: HuggingFaceSettings, architecture: str, **allowed: Any) -> None:
    for name, value in allowed.items():
        if settings.get(name, value) != value:
            raise ConfigError(
                f"{architecture} with {name}={settings[name]!r} has no counterpart here "
                f"(only {value!r}): open it through TransformerLens instead."
            )


def _activation(name: str) -> str:
    if name not in ACTIVATIONS:
        raise ConfigError(f"The activation must be one of {', '.join(ACTIVATIONS)}; got {name!r}.")
    return ACTIVATIONS[name]


def _rope(settings: HuggingFaceSettings) -> tuple[float, dict[str, Any] | None]:
    """Base and scaling, from `rope_parameters` (transformers 5) or `rope_scaling` (earlier)."""
    rope = dict(settings.get("rope_parameters") or settings.get("rope_scaling") or {})
    theta = rope.pop("rope_theta", None) or settings.get("rope_theta") or 10000.0
    # `rope_type` was called `type` before transformers 4.43; some files have both.
    kind = rope.pop("rope_type", None) or rope.pop("type", None) or "default"
    rope.pop("type", None)
    share = rope.pop("partial_rotary_factor", settings.get("partial_rotary_factor", 1.0))
    if kind not in ROPE_KEYS or share != 1.0:
        raise ConfigError(
            f"Rotary positions must cover the whole head, with a rope_type of "
            f"{', '.join(ROPE_KEYS)}; got rope_type {kind!r} with partial_rotary_factor {share}."
        )
    if kind == "default":
        return theta, None
    # Scaling needs the context before it was scaled; a file without it means the one it names.
    original = settings.get("max_position_embeddings", 2048)
    rope.setdefault("original_max_position_embeddings", original)
    missing = [name for name in ROPE_KEYS[kind] if name not in rope]
    if missing:
        raise ConfigError(f"rope_type {kind!r} needs {', '.join(missing)}, which are not given.")
    return theta, {"rope_type": kind} | {name: rope[name] for name in ROPE_KEYS[kind]}


ROPE_KEYS = {
    "default": (),
    "linear": ("factor",),
    "llama3": (
        "factor",
        "low_freq_factor",
        "high_freq_factor",
        "original_max_position_embeddings",
    ),
}


def _gpt2_settings(cfg: GPTConfig) -> dict[str, Any]:
    heads = cfg.n_key_value_heads == cfg.n_heads and cfg.d_head * cfg.n_heads == cfg.d_model
    _need_all(
        "GPT2LMHeadModel (learned positions)",
        {
            "norm='layer'": cfg.norm == "layer",
            "gated=False": not cfg.gated,
            "qk_norm=False": not cfg.qk_norm,
            "attn_only=False": not cfg.attn_only,
            "n_key_value_heads=n_heads and d_head=d_model/n_heads": heads,
        },
    )
    return _written(cfg, _GPT2) | {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "embd_pdrop": cfg.dropout,
        "attn_pdrop": cfg.dropout,
    }


def _llama_settings(cfg: GPTConfig) -> dict[str, Any]:
    _need_all(
        "LlamaForCausalLM or Qwen3ForCausalLM",
        {
            "positions='rotary'": cfg.positions == "rotary",
            "norm='rms'": cfg.norm == "rms",
            "gated=True": cfg.gated,
            "attn_only=False": not cfg.attn_only,
            "d_model a multiple of n_heads": cfg.d_model % cfg.n_heads == 0,
            "mlp_bias=False, as Qwen 3 has none": not (cfg.qk_norm and cfg.mlp_bias),
        },
    )
    rope: dict[str, Any] = {"rope_theta": cfg.rope_theta, "rope_type": "default"}
    rope |= cfg.rope_scaling or {}
    settings = _written(cfg, _LLAMA) | {
        "architectures": ["Qwen3ForCausalLM" if cfg.qk_norm else "LlamaForCausalLM"],
        "model_type": "qwen3" if cfg.qk_norm else "llama",
        "rope_parameters": rope,
        "rope_theta": cfg.rope_theta,
        "attention_dropout": 0.0,
    }
    if cfg.qk_norm:  # Qwen 3 has no such setting.
        del settings["mlp_bias"]
    return settings


def _need_all(target: str, conditions: Mapping[str, bool]) -> None:
    missing = [name for name, holds in conditions.items() if not holds]
    if missing:
        raise ConfigError(
            f"To save for {target} the model needs {', '.join(missing)}. "
            "save_model keeps any of our models; only these families exist in transformers."
        )
