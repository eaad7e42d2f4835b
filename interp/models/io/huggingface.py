"""Weights in and out: GPT-2, Llama and Qwen 3 folders of `transformers`, and GGUF files.

Folders are read with safetensors and json alone; only a GGUF file needs transformers itself.
"""

import importlib.util
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from interp.core.errors import CheckpointError, ConfigError, near_misses
from interp.core.files import (
    inside,
    read_object,
    regular_file,
    safe_load_safetensors,
    write_json,
    write_safetensors,
    write_text,
)
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.io.checkpoint import LONGEST_CONTEXT, WEIGHTS
from interp.models.io.huggingface_config import architecture_of, read_config, write_config
from interp.models.tokenizer import Tokenizer

INDEX = "model.safetensors.index.json"

GPT2 = {
    "embed.weight": ["transformer.wte.weight"],
    "pos_embed.weight": ["transformer.wpe.weight"],
    "blocks.{}.ln1": ["transformer.h.{}.ln_1"],
    "blocks.{}.attn.qkv": ["transformer.h.{}.attn.c_attn"],
    "blocks.{}.attn.out": ["transformer.h.{}.attn.c_proj"],
    "blocks.{}.ln2": ["transformer.h.{}.ln_2"],
    "blocks.{}.mlp.up": ["transformer.h.{}.mlp.c_fc"],
    "blocks.{}.mlp.down": ["transformer.h.{}.mlp.c_proj"],
    "ln_final": ["transformer.ln_f"],
    "head.weight": ["lm_head.weight"],
}
LLAMA = {
    "embed.weight": ["model.embed_tokens.weight"],
    "blocks.{}.ln1": ["model.layers.{}.input_layernorm"],
    "blocks.{}.attn.qkv": [f"model.layers.{{}}.self_attn.{part}_proj" for part in "qkv"],
    "blocks.{}.attn.q_norm": ["model.layers.{}.self_attn.q_norm"],
    "blocks.{}.attn.k_norm": ["model.layers.{}.self_attn.k_norm"],
    "blocks.{}.attn.out": ["model.layers.{}.self_attn.o_proj"],
    "blocks.{}.ln2": ["model.layers.{}.post_attention_layernorm"],
    "blocks.{}.mlp.gate": ["model.layers.{}.mlp.gate_proj"],
    "blocks.{}.mlp.up": ["model.layers.{}.mlp.up_proj"],
    "blocks.{}.mlp.down": ["model.layers.{}.mlp.down_proj"],
    "ln_final": ["model.norm"],
    "head.weight": ["lm_head.weight"],
}
"""Our module to theirs; several of theirs are stacked by rows in one of ours."""


def load_huggingface(
    folder: str | Path,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> GPT:
    """A `transformers` folder (config.json, safetensors, tokenizer.json) as our model.

    Args:
        folder: a folder with `model.safetensors`, or shards and `model.safetensors.index.json`.

    Raises:
        ConfigError: the architecture, or a setting of it, has no counterpart here.
        CheckpointError: a file or tensor is missing, damaged, left over or of another shape.
    """
    folder = Path(folder)
    settings = read_object(folder / "config.json")
    cfg = _readable(settings, folder / "config.json")
    tokenizer = Tokenizer.load(folder) if (folder / "tokenizer.json").exists() else None
    tensors = _read_tensors(folder)
    _check_size(cfg, tensors, folder)
    model = GPT(cfg, _ending(tokenizer, settings), name=folder.name)
    _fill(model, settings, tensors, str(folder))
    return model.to(device=device, dtype=dtype).eval()


def save_huggingface(model: GPT, folder: str | Path, *, max_shard_bytes: int = 5 * 2**30) -> Path:
    """Write a folder that `transformers` opens with AutoModelForCausalLM and AutoTokenizer.

    Args:
        max_shard_bytes: a larger model is split over several files with an index.

    Raises:
        ConfigError: no stock class of transformers computes what this model does.
    """
    folder = Path(folder)
    settings = write_config(model.cfg)
    tokenizer = model.tokenizer
    ends = [getattr(tokenizer, name, None) for name in ("eos_token_id", "bos_token_id")]
    ends = [token for token in ends if token is not None]
    settings |= {"bos_token_id": getattr(tokenizer, "bos_token_id", None), "pad_token_id": None}
    settings["eos_token_id"] = ends if len(ends) > 1 else next(iter(ends), None)
    settings |= {"dtype": str(model.embed.weight.dtype).removeprefix("torch."), "use_cache": True}
    _write_shards(_their_tensors(model, settings), folder, max_shard_bytes)
    if tokenizer is not None:
        write_text(folder / "tokenizer.json", tokenizer.to_json())
        write_json(folder / "tokenizer_config.json", _tokenizer_settings(model))
    write_json(folder / "config.json", settings)
    return folder


def load_gguf(
    path: str | Path,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> GPT:
    """A GGUF file of the Llama, Qwen 3 or GPT-2 family as our model, its weights dequantised.

    `save_huggingface` keeps the result: reading that folder takes a tenth of the time.

    Raises:
        ConfigError: the `gguf` extra is not installed, or the architecture has no counterpart.
        CheckpointError: the file is missing or damaged.
    """
    path = regular_file(path)
    if importlib.util.find_spec("gguf") is None:
        raise ConfigError("A GGUF file needs the gguf package: pip install 'interp[gguf]'.")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise CheckpointError(f"{path} must be a GGUF file; it does not begin as one.")
    settings, tensors, tokenizer = _read_gguf(path)
    model = GPT(_readable(settings, path), _ending(tokenizer, settings), name=path.stem)
    _fill(model, settings, tensors, str(path))
    return model.to(device=device, dtype=dtype).eval()


def _readable(settings: Mapping[str, Any], path: Path) -> GPTConfig:
    try:
        return read_config(settings)
    except (TypeError, ValueError, ZeroDivisionError, AttributeError) as error:
        if isinstance(error, ConfigError):
            raise ConfigError(f"{path}: {error}") from None
        raise CheckpointError(f"{path} holds a setting of the wrong kind: {error}.") from error


def _check_size(cfg: GPTConfig, tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Refuse a config that asks for more memory than its weights fill, before any is asked for."""
    there = sum(tensor.numel() for tensor in tensors.values())
    rows = [cfg.d_vocab, cfg.n_layers * cfg.d_mlp, cfg.n_layers * cfg.n_heads * cfg.d_head]
    rows += [cfg.n_ctx] if cfg.positions == "learned" else []
    if max(rows) * cfg.d_model > there or cfg.n_ctx > LONGEST_CONTEXT:
        raise CheckpointError(
            f"{folder / 'config.json'} does not describe its weights ({there:,} numbers). The two "
            "are of different models: copy the folder again."
        )


def _ending(tokenizer: Tokenizer | None, settings: Mapping[str, Any]) -> Tokenizer | None:
    """The tokenizer, told which token ends a text."""
    ends = settings.get("eos_token_id")
    ends = ends if isinstance(ends, list) else [ends]
    if tokenizer is not None:
        others = (token for token in ends if token != tokenizer.bos_token_id)
        tokenizer.eos_token_id = next((int(token) for token in others if token is not None), None)
    return tokenizer


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    if (folder / WEIGHTS).exists():
        return safe_load_safetensors(folder / WEIGHTS)
    if not (folder / INDEX).exists():
        pickled = sorted(path.name for path in folder.glob("*.bin"))
        note = f" {pickled[0]} is a pickle, which is never opened." if pickled else ""
        raise CheckpointError(f"{folder} must hold {WEIGHTS} or {INDEX}; it holds neither.{note}")
    listed = read_object(folder / INDEX).get("weight_map")
    if not isinstance(listed, dict):
        raise CheckpointError(f"{folder / INDEX} must hold a weight_map; it does not.")
    tensors: dict[str, Tensor] = {}
    for shard in dict.fromkeys(listed.values()):
        tensors |= safe_load_safetensors(inside(folder, shard))
    absent = sorted(set(listed) - set(tensors))
    if absent:
        raise CheckpointError(f"The shards of {folder} lack {absent[0]}, which {INDEX} lists.")
    return tensors


@torch.no_grad()
def _fill(model: GPT, settings: Mapping[str, Any], tensors: dict[str, Tensor], where: str) -> None:
    """Put their tensors in our parameters; every one of either side must find its other.

    `tensors` is emptied on the way, so that a large model is not held twice.
    """
    table, conv = _table(settings)
    theirs = _with_full_names(tensors, "transformer." if conv else "model.")
    factors = _query_factors(model.cfg, settings)
    for name, ours in model.state_dict().items():
        keys = _keys(name, table)
        parts = [_take(theirs, key, where) for key in keys]
        whole = torch.cat(parts) if len(parts) > 1 else parts[0]
        if conv and _is_conv(name):
            whole = rearrange(whole, "inputs outputs -> outputs inputs")
        if whole.shape != ours.shape:
            raise CheckpointError(
                f"{' + '.join(keys)} must have shape {tuple(ours.shape)}; {where} has "
                f"{tuple(whole.shape)}. Its config is of another model: copy the folder again."
            )
        ours.copy_(whole)
        if ".attn.qkv." in name:
            ours[: model.cfg.n_heads * model.cfg.d_head] *= factors[int(name.split(".")[1])]
    theirs.pop("lm_head.weight", None)  # A tied model may be saved with a copy.
    if theirs:
        raise CheckpointError(
            f"{where} holds {len(theirs)} tensors that its config does not speak of, "
            f"such as {min(theirs)}: the two do not belong together."
        )


def _with_full_names(tensors: dict[str, Tensor], base: str) -> dict[str, Tensor]:
    """The tensors by the names of the class with a head, without masks; empties `tensors`."""
    theirs = {}
    for name in list(tensors):
        tensor = tensors.pop(name)
        if not name.endswith(MASKS):
            theirs[name if name.startswith((base, "lm_head.")) else base + name] = tensor
    return theirs


MASKS = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")


def _take(theirs: dict[str, Tensor], key: str, where: str) -> Tensor:
    if key not in theirs:
        raise CheckpointError(
            f"The model needs the tensor {key}; {where} lacks it.{near_misses(key, theirs, 1)}"
        )
    return theirs.pop(key)


def _table(settings: Mapping[str, Any]) -> tuple[dict[str, list[str]], bool]:
    gpt2 = architecture_of(settings) == "GPT2LMHeadModel"
    return (GPT2 if gpt2 else LLAMA), gpt2


def _keys(name: str, table: Mapping[str, list[str]]) -> list[str]:
    """Their tensors that make up ours, in the order of rows."""
    layer = re.search(r"^blocks\.(\d+)\.", name)
    general = re.sub(r"^blocks\.\d+\.", "blocks.{}.", name)
    stem, _, leaf = general.rpartition(".")
    keys = table.get(general) or [f"{theirs}.{leaf}" for theirs in table[stem]]
    return [key.format(layer[1]) if layer else key for key in keys]


def _is_conv(name: str) -> bool:
    """Whether GPT-2 holds it as a Conv1D, which is a linear layer's matrix transposed."""
    return name.endswith("weight") and (".attn." in name or ".mlp." in name)


def _query_factors(cfg: GPTConfig, settings: Mapping[str, Any]) -> list[float]:
    """GPT-2's two switches of the attention's scale, as a factor on each layer's queries."""
    if architecture_of(settings) != "GPT2LMHeadModel":
        return [1.0] * cfg.n_layers
    # Scores are q k / sqrt(d_head) here. A model without that division gets queries larger by
    # sqrt(d_head), one that divides by the layer's number too gets smaller ones: the same scores.
    unscaled = settings.get("scale_attn_weights", True) is False
    by_layer = settings.get("scale_attn_by_inverse_layer_idx", False) is True
    scale = cfg.d_head**0.5 if unscaled else 1.0
    return [scale / (layer + 1 if by_layer else 1) for layer in range(cfg.n_layers)]


def _their_tensors(model: GPT, settings: Mapping[str, Any]) -> dict[str, Tensor]:
    table, conv = _table(settings)
    theirs: dict[str, Tensor] = {}
    for name, ours in model.state_dict().items():
        keys = _keys(name, table)
        sizes = [heads * model.cfg.d_head for heads in model.blocks[0].attn.sizes]
        if conv and _is_conv(name):
            ours = rearrange(ours, "outputs inputs -> inputs outputs")
        parts = ours.split(sizes) if len(keys) > 1 else [ours]
        theirs |= dict(zip(keys, parts, strict=True))
        if conv and ours.ndim and name.endswith(".weight") and "embed" not in name:
            (key,) = keys
            bias = key.removesuffix("weight") + "bias"
            # Their Conv1D and LayerNorm always have a bias: without one of ours, zeros.
            if key != "lm_head.weight" and bias not in theirs:
                theirs[bias] = ours.new_zeros(parts[0].shape[-1])
    return theirs


def _write_shards(tensors: Mapping[str, Tensor], folder: Path, limit: int) -> None:
    shards = list(_shards(tensors, limit))
    if len(shards) == 1:
        write_safetensors(folder / WEIGHTS, shards[0], {"format": "pt"})
        return
    listed = {}
    for number, shard in enumerate(shards, start=1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        write_safetensors(folder / name, shard, {"format": "pt"})
        listed |= dict.fromkeys(shard, name)
    total = sum(tensor.nbytes for tensor in tensors.values())
    write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": listed})


def _shards(tensors: Mapping[str, Tensor], limit: int) -> Iterator[dict[str, Tensor]]:
    shard: dict[str, Tensor] = {}
    size = 0
    for name, tensor in tensors.items():
        if shard and size + tensor.nbytes > limit:
            yield shard
            shard, size = {}, 0
        shard[name] = tensor
        size += tensor.nbytes
    yield shard


def _tokenizer_settings(model: GPT) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": getattr(model.tokenizer, "bos", None),
        "model_max_length": model.cfg.n_ctx,
        "clean_up_tokenization_spaces": False,
    }


def _read_gguf(path: Path) -> tuple[dict[str, Any], dict[str, Tensor], Tokenizer]:
    """Settings, tensors and tokenizer as transformers reads them.

    A GGUF file of Llama holds the rows of queries and keys in another order: llama.cpp rotates
    neighbours (x_2i, x_2i+1), we rotate halves (x_i, x_i+d/2). transformers undoes this permutation
    as it reads, so what comes is in the order of its own folders.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = {"pretrained_model_name_or_path": path.parent, "gguf_file": path.name}
    try:
        theirs = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(**place)
    except (ValueError, KeyError, IndexError, OSError, RuntimeError, NotImplementedError) as error:
        raise CheckpointError(f"{path} must be a whole GGUF file; it is not ({error}).") from error
    settings = theirs.config.to_dict() | {"architectures": [type(theirs).__name__]}
    ours = Tokenizer.from_transformers(tokenizer)
    if ours.bos_token_id not in tokenizer("a").input_ids:  # What it does not add, we must not.
        ours = Tokenizer(ours.backend, bos=None)
    return settings, dict(theirs.state_dict()), ours
