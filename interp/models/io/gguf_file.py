"""What a GGUF file holds, as the settings and tensors of the `transformers` folder it was made of.

Every setting of the architecture (`llama.…`) and every tensor is used, at a value that changes
nothing, or refused by name. Source: ggml's specification of the format (docs/gguf.md).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from interp.core.errors import CheckpointError, ConfigError
from interp.core.files import regular_file

_ROTARY = {
    "block_count": "num_hidden_layers",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "context_length": "max_position_embeddings",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "rope.freq_base": "rope_theta",
}
_LEARNED = {
    "block_count": "n_layer",
    "embedding_length": "n_embd",
    "feed_forward_length": "n_inner",
    "context_length": "n_positions",
    "attention.head_count": "n_head",
    "attention.head_count_kv": "n_key_value_heads",
    "attention.layer_norm_epsilon": "layer_norm_epsilon",
}
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "llama": _ROTARY,
    "qwen3": _ROTARY,
    "gpt2": _LEARNED,
}
"""The setting of a GGUF file to that of `config.json`, by architecture."""
_CHECKED = ("vocab_size", "attention.value_length", "rope.dimension_count")
_SCALING = ("rope.scaling.type", "rope.scaling.factor", "rope.scale_linear")
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "attention.causal": (True,),
    "attention.clamp_kqv": (0,),
    "attention.max_alibi_bias": (0,),
    "attention.sliding_window": (0,),
    "attn_logit_softcapping": (0,),
    "embedding_scale": (0, 1),
    "expert_count": (0,),
    "expert_used_count": (0,),
    "final_logit_softcapping": (0,),
    "logit_scale": (0, 1),
    "pooling_type": (0,),
    "residual_scale": (0, 1),
    "rope.scaling.attn_factor": (0, 1),
    "tensor_data_layout": ("Meta AI original pth",),
    "use_parallel_residual": (False,),
}
"""Settings that are known, and the values at which they change nothing; 0 means "not set"."""
_FOR_OTHER_KINDS = ("rope.scaling.original_context_length", "rope.scaling.finetuned")
"""What only rotary scalings that are refused read."""

_BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_CONV = {
    "attn_qkv": "attn.c_attn",
    "attn_output": "attn.c_proj",
    "ffn_up": "mlp.c_fc",
    "ffn_down": "mlp.c_proj",
}
_ROTARY_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
} | {f"blk.{{}}.{ours}": f"model.layers.{{}}.{theirs}" for ours, theirs in _BLOCK.items()}
_LEARNED_NAMES = {
    "token_embd": "transformer.wte",
    "position_embd": "transformer.wpe",
    "output_norm": "transformer.ln_f",
    "output": "lm_head",
    "blk.{}.attn_norm": "transformer.h.{}.ln_1",
    "blk.{}.ffn_norm": "transformer.h.{}.ln_2",
} | {f"blk.{{}}.{ours}": f"transformer.h.{{}}.{theirs}" for ours, theirs in _CONV.items()}
_FREQUENCIES = "rope_freqs.weight"


def read_gguf(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor], bool]:
    """The settings of `config.json`, the tensors by the names of transformers, in float32, and
    whether there is a tokenizer.

    Args:
        path: a file of the Llama, Qwen 3 or GPT-2 family; quantised tensors are dequantised.

    Raises:
        CheckpointError: the file is missing, damaged or one of several, or a tensor is unreadable.
        ConfigError: the architecture, or a setting of it, has no counterpart here.
    """
    from gguf import GGUFReader

    class BoundedReader(GGUFReader):
        """Refuses a list that claims more members than the file has bytes; its base goes on."""

        def _get(self, offset: int, dtype: Any, count: int = 1, *others: Any, **named: Any) -> Any:
            if offset + np.dtype(dtype).itemsize * int(count) > len(self.data):
                raise ValueError("it ends too early")
            return super()._get(offset, dtype, count, *others, **named)

    path = regular_file(path)
    try:
        reader = BoundedReader(path)
        fields = {
            name: field.contents()
            for name, field in reader.fields.items()
            if not name.startswith("tokenizer.") or name in _IDS
        }
        raw = {tensor.name: tensor for tensor in reader.tensors}
    except Exception as error:  # noqa: BLE001  (what it meets in damaged bytes it does not catch)
        raise CheckpointError(f"{path} must be a whole GGUF file; it is not ({error}).") from None
    if reader.byte_order != "I":
        raise CheckpointError(
            f"{path} must be of this machine's byte order; it is of the other. Convert it with "
            "gguf-convert-endian."
        )
    family = fields.get("general.architecture")
    if not isinstance(family, str) or family not in SETTINGS:
        raise ConfigError(
            f"The architecture of a GGUF file must be one of {', '.join(SETTINGS)}; {path} is of "
            f"{family!r}. Open the model's folder instead."
        )
    if fields.get("split.count", 1) not in (0, 1) or fields.get("general.type", "model") != "model":
        raise CheckpointError(
            f"{path} must be a whole model; it is one of {fields.get('split.count', 1)} parts, of "
            f"type {fields.get('general.type', 'model')!r}. Join the parts (gguf-split --merge)."
        )
    prefix = f"{family}."
    given = {k.removeprefix(prefix): v for k, v in fields.items() if k.startswith(prefix)}
    try:
        settings = _settings(family, given, raw, path)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    begin, *ends = (fields.get(name) for name in _IDS)
    ends = [token for token in ends if token is not None]
    settings |= {"bos_token_id": begin, "eos_token_id": ends or None}
    tensors = {name: _dequantized(tensor, path) for name, tensor in raw.items()}
    return settings, _named(family, settings, tensors), "tokenizer.ggml.tokens" in reader.fields


_IDS = tuple(f"tokenizer.ggml.{which}_token_id" for which in ("bos", "eos", "eot", "eom"))


def _dequantized(tensor: Any, path: Path) -> Tensor:
    from gguf import dequantize

    if tensor.tensor_type.name in ("I8", "I16", "I32", "I64"):
        raise CheckpointError(
            f"Weights must be real numbers; {tensor.name} in {path} is {tensor.tensor_type.name}."
        )
    try:
        return torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
    except Exception as error:  # noqa: BLE001  (NotImplementedError, QuantError, of its own kinds)
        raise CheckpointError(
            f"The tensor {tensor.name} in {path} must be of a kind that gguf dequantises; it is "
            f"{tensor.tensor_type.name} ({error}). Get the model in another quantisation."
        ) from None


def _settings(
    family: str, given: Mapping[str, Any], tensors: Mapping[str, Any], path: Path
) -> dict[str, Any]:
    """The settings of `config.json`; every one of the file's is accounted for."""
    known = {*SETTINGS[family], *_CHECKED, *_SCALING, *NEUTRAL, *_FOR_OTHER_KINDS}
    for name in given:
        if name not in known or (name in NEUTRAL and given[name] not in NEUTRAL[name]):
            raise ConfigError(
                f"{family}.{name}={given[name]!r:.80} has no counterpart here. Open the model's "
                "folder instead."
            )
    theirs: dict[str, Any] = {}
    for name, new in SETTINGS[family].items():
        if name in given:
            theirs[new] = _one(given[name])
        if isinstance(theirs.get(new), list):
            raise ConfigError(
                f"{family}.{name} must be the same in every layer; it is {given[name]!s:.80}."
            )
    # A shape in the file is written the other way round than numpy's.
    rows = int(tensors["token_embd.weight"].shape[-1]) if "token_embd.weight" in tensors else 0
    theirs |= {"model_type": family, "vocab_size": rows}
    theirs["tie_word_embeddings"] = "output.weight" not in tensors
    if family == "gpt2":
        _equal(family, given, "attention.head_count_kv", theirs.get("n_head"))
        return theirs
    head = _quotient(theirs.get("hidden_size"), theirs.get("num_attention_heads"))
    head = theirs.setdefault("head_dim", head)
    for name in ("attention.value_length", "rope.dimension_count"):
        _equal(family, given, name, head)
    _equal(family, given, "vocab_size", rows)
    theirs["attention_bias"] = any(re.search(r"\.attn_\w+\.bias$", name) for name in tensors)
    theirs["mlp_bias"] = any(re.search(r"\.ffn_\w+\.bias$", name) for name in tensors)
    theirs["rope_parameters"] = _rope(family, given)
    if _FREQUENCIES in tensors:
        factors = _dequantized(tensors[_FREQUENCIES], path).flatten().tolist()
        theirs["rope_parameters"] = _by_pair(theirs["rope_parameters"], factors)
    return theirs


def _rope(family: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Scaling of the rotary positions as the settings name it: none, or linear."""
    kind = given.get("rope.scaling.type", "linear")  # A factor without a kind is a linear one.
    factor = given.get("rope.scaling.factor", given.get("rope.scale_linear", 0)) or 1
    if kind not in ("none", "linear"):
        raise ConfigError(
            f"Rotary scaling must be none, linear or {_FREQUENCIES}; {family}.rope.scaling.type is "
            f"{kind!r}. Open the model's folder with load_bridge instead."
        )
    scaled = kind == "linear" and factor != 1
    return {"rope_type": "linear", "factor": factor} if scaled else {"rope_type": "default"}


def _by_pair(rope: dict[str, Any], factors: list[float]) -> dict[str, Any]:
    """Scaling by one factor a pair: what Llama 3's settings made of each, without the settings."""
    if rope["rope_type"] != "default":
        raise ConfigError(f"One rotary scaling can be read; there are {rope} and {_FREQUENCIES}.")
    same = {"short_factor": factors, "long_factor": factors}
    return {"rope_type": "longrope", "attention_factor": 1.0} | same


def _named(
    family: str, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The tensors by transformers' names; those without one keep theirs, and are refused later."""
    table = _LEARNED_NAMES if family == "gpt2" else _ROTARY_NAMES
    named: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        layer = re.match(r"blk\.(\d+)\.", name)
        stem, _, leaf = re.sub(r"^blk\.\d+\.", "blk.{}.", name).rpartition(".")
        if name == _FREQUENCIES and family != "gpt2":
            continue  # read as a setting
        if stem not in table or leaf not in ("weight", "bias"):
            named[name] = tensor
            continue
        if family == "llama" and stem.endswith(("attn_q", "attn_k")):
            heads = "num_attention_heads" if stem.endswith("q") else "num_key_value_heads"
            tensor = _halves(tensor, settings.get(heads, settings.get("num_attention_heads")), name)
        if family == "gpt2" and stem.removeprefix("blk.{}.") in _CONV and leaf == "weight":
            tensor = rearrange(tensor, "outputs inputs -> inputs outputs")
        named[f"{table[stem]}.{leaf}".format(layer[1] if layer else "")] = tensor
    if family != "gpt2":
        _add_zero_biases(named, settings)
    return named


def _halves(rows: Tensor, heads: Any, name: str) -> Tensor:
    """Rows of queries or keys in the order of transformers.

    A file of Llama's is for a rotation of neighbours (x_2i, x_2i+1), transformers and we rotate
    halves (x_i, x_i+d/2).
    """
    if not isinstance(heads, int) or heads < 1 or rows.shape[0] % (2 * heads):
        raise CheckpointError(
            f"The {rows.shape[0]} rows of {name} must be of {heads} heads of an even size; they "
            "are not. The file is damaged: copy it again."
        )
    return rearrange(rows, "(head pair two) ... -> (head two pair) ...", head=heads, two=2)


def _add_zero_biases(named: dict[str, Tensor], settings: Mapping[str, Any]) -> None:
    """Biases that a file leaves out beside others, as transformers has all of a part or none."""
    parts = {"self_attn": settings["attention_bias"], "mlp": settings["mlp_bias"]}
    for name in [name for name in named if name.endswith("_proj.weight")]:
        bias = name.removesuffix("weight") + "bias"
        if parts[name.split(".")[3]] and bias not in named:
            named[bias] = named[name].new_zeros(named[name].shape[0])


def _one(value: Any) -> Any:
    """One value for all layers, where each has its own and they are equal."""
    alike = isinstance(value, list) and value and value == value[:1] * len(value)
    return value[0] if alike else value


def _quotient(width: Any, heads: Any) -> int:
    sizes = isinstance(width, int) and isinstance(heads, int) and heads > 0
    return width // heads if sizes else 0


def _equal(family: str, given: Mapping[str, Any], name: str, expected: Any) -> None:
    if name in given and _one(given[name]) != expected:
        raise ConfigError(
            f"{family}.{name} must be {expected} to be read here; it is {given[name]!r}."
        )
