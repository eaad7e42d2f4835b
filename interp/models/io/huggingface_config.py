"""Our config to a Hugging Face `config.json` and back, for the three families we share with it.

Plain dictionaries in, plain dictionaries out: nothing here imports transformers.
"""

import reprlib
from collections.abc import Callable, Mapping
from typing import Any

from interp.core.errors import ConfigError, near_misses
from interp.models.config import GPTConfig
from interp.models.rotary import ROPE_KEYS

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
    settings = _by_own_names(settings) if architecture == "GPT2LMHeadModel" else settings
    _refuse(settings, architecture)
    return GPTConfig(**READERS[architecture](settings))


def write_config(cfg: GPTConfig) -> dict[str, Any]:
    """The `config.json` dictionary of the stock transformers class that computes what `cfg` does.

    Raises:
        ConfigError: no class does; the settings in the way are named.
    """
    writer = _gpt2_settings if cfg.positions == "learned" else _llama_settings
    return writer(cfg)


def architecture_of(settings: HuggingFaceSettings) -> str:
    """`GPT2LMHeadModel`, `LlamaForCausalLM` or `Qwen3ForCausalLM`, or ConfigError.

    The family (`model_type`) decides, as in transformers: the class that a folder was saved from
    may be without the head (`LlamaModel`), and its tensors say whether one is there.
    """
    named, family = settings.get("architectures"), settings.get("model_type")
    first = named[0] if isinstance(named, list) and named else None
    by_family = {"gpt2": "GPT2LMHeadModel", "llama": "LlamaForCausalLM"}
    by_family |= {"qwen3": "Qwen3ForCausalLM"}
    known = by_family.get(family) if isinstance(family, str) else first
    if not isinstance(known, str) or known not in READERS:
        raise ConfigError(
            f"A Hugging Face model must be one of {', '.join(READERS)} to be read here; this one "
            f"is {first!r} with model_type {family!r}.{near_misses(str(first), READERS)} Other "
            "families open through TransformerLens: load_model(folder)."
        )
    return known


def refuse_quantized(settings: HuggingFaceSettings) -> None:
    """Refuse a model whose weights are kept in a quantised form.

    Raises:
        ConfigError: the settings name a quantisation.
    """
    for name in ("quantization_config", "compression_config"):
        if settings.get(name):
            method = settings[name]
            method = method.get("quant_method", method) if isinstance(method, dict) else method
            raise ConfigError(
                f"Weights must be unquantised; {name} says {reprlib.repr(method)}. Get the "
                "model's unquantised weights, or a GGUF file of it, which is dequantised here."
            )


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


ELSEWHERE: dict[str, tuple[Any, ...]] = {
    "add_cross_attention": (False,),
    "alibi": (False,),
    "attention_chunk_size": (None,),
    "attention_multiplier": (None,),
    "attn_logit_softcapping": (None,),
    "clip_qkv": (None,),
    "embedding_multiplier": (1, None),
    "final_logit_softcapping": (None,),
    "is_causal": (True,),
    "is_encoder_decoder": (False,),
    "logit_scale": (1, None),
    "logits_scaling": (1, None),
    "no_rope_layers": (None, []),
    "parallel_attn": (False,),
    "partial_rotary_factor": (1, None),
    "query_pre_attn_scalar": (None,),
    "residual_multiplier": (1, None),
    "rope_interleaved": (False, None),
    "rotary_pct": (1, None),
    "scale_depth": (None,),
    "scale_emb": (1, None),
    "use_bidirectional_attention": (False, None),
    "use_parallel_residual": (False,),
}
"""Settings that change what other families compute, and the values at which they change nothing.

A file of ours may hold one when its family's name was changed by hand, or when it was left over.
"""


def _refuse(settings: HuggingFaceSettings, architecture: str) -> None:
    refuse_quantized(settings)
    for name, neutral in ELSEWHERE.items():
        if settings.get(name, neutral[0]) not in neutral:
            raise ConfigError(
                f"{architecture} with {name}={reprlib.repr(settings[name])} has no counterpart "
                f"here (only {neutral[0]!r}). If transformers computes it, open the folder with "
                "load_bridge; if it is left over from another model, remove it."
            )
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        ids = settings.get(name)
        for token in ids if isinstance(ids, list) else [ids]:
            if token is not None and (not isinstance(token, int) or isinstance(token, bool)):
                raise ConfigError(f"{name} must be a whole number or a list of them; got {ids!r}.")


def _refuse_windows(settings: HuggingFaceSettings, n_layers: int, n_ctx: int) -> None:
    """Refuse layers that see less than the whole text."""
    kinds = settings.get("layer_types")
    window, used = settings.get("sliding_window"), settings.get("use_sliding_window", True)
    first = settings.get("max_window_layers", 0)
    whole = kinds is None or (kinds and kinds == ["full_attention"] * len(kinds))
    if kinds is None and used is not False and window is not None:
        numbers = [isinstance(value, int) for value in (window, first)]
        whole = all(numbers) and (window >= n_ctx or first >= n_layers)
    if not whole or (kinds is not None and len(kinds) != n_layers):
        raise ConfigError(
            f"Every layer must have full attention; this model has sliding windows "
            f"(sliding_window {reprlib.repr(window)}, use_sliding_window {used!r}, layer_types "
            f"{reprlib.repr(kinds)}): open the folder with load_bridge instead."
        )


def _read(settings: HuggingFaceSettings, table: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    fields = {ours: settings.get(theirs, default) for ours, (theirs, default) in table.items()}
    for ours, (theirs, default) in table.items():
        kind, noun = _KINDS[type(default)]
        value = fields[ours]
        # A size that follows from the others may be null in their files; in ours it is 0.
        if value is None and ours in ("n_key_value_heads", "d_head", "d_mlp"):
            fields[ours] = 0
        elif not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ConfigError(f"{theirs} must be {noun}; it is {reprlib.repr(value)}.")
    return fields | {"act": _activation(fields["act"])}


_KINDS: dict[type, tuple[Any, str]] = {
    bool: (bool, "true or false"),
    int: (int, "a whole number"),
    float: (int | float, "a number"),
    str: (str, "a name"),
}


def _written(cfg: GPTConfig, table: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    return {theirs: getattr(cfg, ours) for ours, (theirs, _) in table.items()}


def _by_own_names(settings: HuggingFaceSettings) -> dict[str, Any]:
    """GPT-2's sizes by GPT-2's names; transformers takes those of other families too."""
    others = {"hidden_size": "n_embd", "max_position_embeddings": "n_positions"}
    others |= {"num_attention_heads": "n_head", "num_hidden_layers": "n_layer"}
    named = dict(settings)
    for other, own in others.items():
        if other in named and named.setdefault(own, named[other]) != named[other]:
            raise ConfigError(f"{own}={named[own]!r} and {other}={named[other]!r} must be equal.")
    return named


def _gpt2(settings: HuggingFaceSettings) -> dict[str, Any]:
    for name in ("scale_attn_weights", "scale_attn_by_inverse_layer_idx"):
        if not isinstance(settings.get(name, False), bool):
            raise ConfigError(f"{name} must be true or false; it is {settings[name]!r}.")
    return _read(settings, _GPT2)


def _llama(settings: HuggingFaceSettings) -> dict[str, Any]:
    fields = _read(settings, _LLAMA)
    theta, scaling = _rope(settings, fields["n_ctx"])
    _refuse_windows(settings, fields["n_layers"], fields["n_ctx"])
    switches = dict(norm="rms", norm_bias=False, gated=True, bias=False, positions="rotary")
    return fields | switches | {"rope_theta": theta, "rope_scaling": scaling}


def _qwen3(settings: HuggingFaceSettings) -> dict[str, Any]:
    defaults = {"intermediate_size": 22016, "max_position_embeddings": 32768, "head_dim": 128}
    defaults |= {"vocab_size": 151936, "num_key_value_heads": 32}
    defaults |= {"use_sliding_window": False, "sliding_window": 4096, "max_window_layers": 28}
    may_be_null = ("num_key_value_heads", "sliding_window")
    given = {k: v for k, v in settings.items() if v is not None or k in may_be_null}
    return _llama(defaults | given | {"mlp_bias": False}) | {"qk_norm": True}


READERS: dict[str, Callable[[HuggingFaceSettings], dict[str, Any]]] = {
    "GPT2LMHeadModel": _gpt2,
    "LlamaForCausalLM": _llama,
    "Qwen3ForCausalLM": _qwen3,
}


def _activation(name: str) -> str:
    if name not in ACTIVATIONS:
        raise ConfigError(f"The activation must be one of {', '.join(ACTIVATIONS)}; got {name!r}.")
    return ACTIVATIONS[name]


def _rope(settings: HuggingFaceSettings, n_ctx: int) -> tuple[float, dict[str, Any] | None]:
    """Base and scaling, from `rope_scaling` (before transformers 5) or `rope_parameters`.

    Where a file has a setting in two places, the one that transformers takes is taken.
    """
    rope = settings.get("rope_scaling") or settings.get("rope_parameters") or {}
    if not isinstance(rope, dict):
        raise ConfigError(f"Rotary settings must be a dictionary; got {reprlib.repr(rope)}.")
    rope = dict(rope)
    theta = rope.pop("rope_theta", None)
    theta = settings.get("rope_theta") if theta is None else theta
    # `rope_type` was called `type` before transformers 4.43; some files have both.
    kind = rope.pop("rope_type", None) or rope.pop("type", None) or "default"
    rope.pop("type", None)
    share = rope.pop("partial_rotary_factor", 1.0)
    if share != 1.0 or not isinstance(kind, str) or kind not in ROPE_KEYS:
        raise ConfigError(
            f"Rotary positions must cover the whole head, with a rope_type of "
            f"{', '.join(ROPE_KEYS)}; got rope_type {reprlib.repr(kind)} with "
            f"partial_rotary_factor {share!r}. Open the folder with load_bridge instead."
        )
    name = "original_max_position_embeddings"
    if name not in ROPE_KEYS[kind]:
        rope.pop(name, None)
    elif settings.get(name) is not None:
        rope[name] = settings[name]
    else:  # A file without it means the context that it names.
        rope.setdefault(name, n_ctx)
    scaling = {"rope_type": kind} | rope
    return 10000.0 if theta is None else theta, None if scaling == {
        "rope_type": "default"
    } else scaling


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
