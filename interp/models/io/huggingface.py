"""Weights in and out: GPT-2, Llama and Qwen 3 folders of `transformers`, and GGUF files.

Folders are read with safetensors and json alone; only a GGUF file needs transformers itself.
"""

import importlib.util
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from interp.core.errors import CheckpointError, ConfigError, first_line, near_misses
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
from interp.models.io.checkpoint import LONGEST_CONTEXT, WEIGHTS, WORDS
from interp.models.io.gguf_file import read_gguf
from interp.models.io.huggingface_config import architecture_of, read_config, write_config
from interp.models.rotary import rotary_frequencies
from interp.models.tokenizer import CONFIG, Tokenizer, panics_as_errors
from interp.models.weights import check_weight

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
    cfg = replace(cfg, eos_token_ids=_named_ends(folder, settings))
    tokenizer = load_tokenizer(folder)
    tensors = read_tensors(folder)
    cfg = _untied(cfg, settings, tensors)
    _check_size(cfg, tensors, folder / "config.json")
    model = GPT(cfg, tokenizer, seed=None, name=folder.name)
    _fill(model, settings, tensors, str(folder))
    return converted(model, device, dtype, str(folder))


def save_huggingface(model: GPT, folder: str | Path, *, max_shard_bytes: int = 5 * 2**30) -> Path:
    """Write a folder that `transformers` opens with AutoModelForCausalLM and AutoTokenizer.

    Args:
        max_shard_bytes: a larger model is split over several files with an index.

    Raises:
        ConfigError: no stock class of transformers computes what this model does.
    """
    folder = Path(folder)
    settings = write_config(model.cfg)
    tokenizer = model.tokenizer if isinstance(model.tokenizer, Tokenizer) else None
    ends = list(dict.fromkeys((*model.cfg.eos_token_ids, *model.tokenizer.eos_token_ids)))
    begin = tokenizer and tokenizer.named_bos and tokenizer.backend.token_to_id(tokenizer.named_bos)
    settings |= {"bos_token_id": begin, "pad_token_id": None}
    settings["eos_token_id"] = ends if len(ends) > 1 else next(iter(ends), None)
    settings |= {"dtype": str(model.embed.weight.dtype).removeprefix("torch."), "use_cache": True}
    _write_shards(_their_tensors(model, settings), folder, max_shard_bytes)
    if tokenizer is not None:
        write_text(folder / "tokenizer.json", tokenizer.to_json())
        write_json(folder / CONFIG, _tokenizer_settings(tokenizer, model.cfg.n_ctx))
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
    settings, tensors, has_words = read_gguf(path)
    cfg = replace(_readable(settings, path), eos_token_ids=tuple(end_ids(settings, str(path))))
    cfg = _untied(cfg, settings, tensors)
    _check_size(cfg, tensors, path)
    tokenizer = _gguf_tokenizer(path) if has_words else None
    model = GPT(cfg, tokenizer, seed=None, name=path.stem)
    _fill(model, settings, tensors, str(path))
    return converted(model, device, dtype, str(path))


def _readable(settings: Mapping[str, Any], path: Path) -> GPTConfig:
    try:
        return read_config(settings)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _untied(
    cfg: GPTConfig, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> GPTConfig:
    """The config with a head of its own, if the file has one that is no copy of the embedding.

    So does transformers: the tensors count, not what `tie_word_embeddings` says of them.
    """
    head = tensors.get("lm_head.weight")
    base, name = ("transformer.", "wte") if _table(settings)[1] else ("model.", "embed_tokens")
    embedding = tensors.get(f"{base}{name}.weight", tensors.get(f"{name}.weight"))
    same = head is None or embedding is None or torch.equal(head, embedding)
    return cfg if same or not cfg.tied else replace(cfg, tied=False)


def converted(model: GPT, device: str | torch.device, dtype: torch.dtype, where: str) -> GPT:
    """The model in the dtype that was asked for, which must hold its numbers."""
    model = model.to(device=device, dtype=dtype).eval()
    for name, parameter in model.named_parameters():
        check_weight(name, parameter, where)
    return model


def _check_size(cfg: GPTConfig, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuse a config that asks for more memory than its weights fill, before any is asked for."""
    there = sum(tensor.numel() for tensor in tensors.values())
    rows = [cfg.d_vocab, cfg.n_layers * cfg.d_mlp, cfg.n_layers * cfg.n_heads * cfg.d_head]
    rows += [cfg.n_ctx] if cfg.positions == "learned" else []
    if max(rows) * cfg.d_model > there or cfg.n_ctx > LONGEST_CONTEXT:
        raise CheckpointError(
            f"{path} does not describe its weights ({there:,} numbers). The two are of different "
            "models: copy them again."
        )


def load_tokenizer(folder: Path) -> Tokenizer | None:
    """The tokenizer of a `transformers` folder; None where there is no file of one.

    Raises:
        CheckpointError: it is damaged, or in a form that cannot be read here.
    """
    form = _tokenizer_file(folder)
    if form in (None, WORDS):
        return None if form is None else Tokenizer.load(folder)
    from transformers import AutoTokenizer

    try:
        with panics_as_errors():
            theirs = AutoTokenizer.from_pretrained(folder, **FILES_ALONE)
            return Tokenizer.from_transformers(theirs)
    except Exception as error:  # noqa: BLE001  (each form's reader raises its own kinds)
        raise CheckpointError(
            f"{folder} needs a tokenizer.json; its {form} is of another form, which transformers "
            f"cannot convert here ({first_line(error)}). Convert it where it opens: "
            "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER). Or take it away, and "
            "the model takes token ids alone."
        ) from None


FILES_ALONE = {"local_files_only": True, "trust_remote_code": False}
"""For readers of `transformers`: no network, and no program that a folder brings along."""
TOKENIZERS = (WORDS, "tokenizer.model", "spiece.model", "tekken.json", "vocab.json", "vocab.txt")
"""Files of tokenizers; all but the first are read by way of `transformers`."""


def has_tokenizer(name: str | Path) -> bool:
    """Whether the model brings a tokenizer: of a folder that is here, whether a file is there."""
    return not Path(name).is_dir() or _tokenizer_file(Path(name)) is not None


def _tokenizer_file(folder: Path) -> str | None:
    return next((name for name in TOKENIZERS if (folder / name).exists()), None)


def end_ids(settings: Mapping[str, Any], where: str) -> list[int]:
    """The tokens that end a text, as `eos_token_id` names them: one, several or none.

    Raises:
        CheckpointError: they are no ids.
    """
    said = settings.get("eos_token_id")
    ends = said if isinstance(said, list) else [] if said is None else [said]
    if any(not isinstance(token, int) or isinstance(token, bool) for token in ends):
        raise CheckpointError(
            f"eos_token_id of {where} must be an id or a list of ids; it is {said!r}. Mend it, or "
            "copy the folder again."
        )
    return ends


def _named_ends(folder: Path, settings: Mapping[str, Any]) -> tuple[int, ...]:
    """The end tokens that either file of a folder names."""
    ends = end_ids(settings, str(folder / "config.json"))
    more = folder / "generation_config.json"
    if more.exists():
        ends = [*ends, *end_ids(read_object(more), str(more))]
    return tuple(dict.fromkeys(ends))


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """The tensors of a `transformers` folder by name, of one file or of its shards.

    Raises:
        CheckpointError: there are no safetensors, or they are damaged or of different models.
    """
    if (folder / WEIGHTS).exists():
        return safe_load_safetensors(folder / WEIGHTS)
    if not (folder / INDEX).exists():
        pickled = sorted(path.name for path in folder.glob("*.bin"))
        note = f" {pickled[0]} is a pickle, which is never opened." if pickled else ""
        raise CheckpointError(f"{folder} must hold {WEIGHTS} or {INDEX}; it holds neither.{note}")
    listed = read_object(folder / INDEX).get("weight_map")
    if not isinstance(listed, dict):
        raise CheckpointError(f"{folder / INDEX} must hold a weight_map; it does not.")
    strange = [name for name in listed.values() if not isinstance(name, str)]
    if strange:
        raise CheckpointError(
            f"The weight_map of {folder / INDEX} must name a file for every tensor; it has "
            f"{strange[0]!r}. Copy the file again."
        )
    tensors: dict[str, Tensor] = {}
    files = {shard: inside(folder, shard) for shard in dict.fromkeys(listed.values())}
    for shard, file in files.items():
        part = safe_load_safetensors(file)
        elsewhere = [name for name in part if listed.get(name) != shard]
        if elsewhere:
            raise CheckpointError(
                f"{file} holds {elsewhere[0]}, which {INDEX} does not list there. The "
                "shards are of different models: copy the folder again."
            )
        tensors |= part
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
    theirs = _with_full_names(tensors, "transformer." if conv else "model.", model, where)
    factors = _query_factors(model.cfg, settings)
    for name, ours in model.state_dict().items():
        keys = _keys(name, table)
        parts = [_take(theirs, key, where, settings) for key in keys]
        for key, part in zip(keys, parts, strict=True):
            check_weight(key, part, where)
        whole = torch.cat(parts) if len(parts) > 1 else parts[0]
        if conv and _is_conv(name):
            whole = (
                rearrange(whole, "inputs outputs -> outputs inputs") if whole.ndim == 2 else whole
            )
        if whole.shape != ours.shape:
            raise CheckpointError(
                f"{' + '.join(keys)} must have shape {tuple(ours.shape)}; {where} has "
                f"{tuple(whole.shape)}. Its config is of another model: copy the folder again."
            )
        ours.copy_(whole)
        if ".attn.qkv." in name:
            ours[: model.cfg.n_heads * model.cfg.d_head] *= factors[int(name.split(".")[1])]
    if model.cfg.tied:
        theirs.pop("lm_head.weight", None)  # A copy of the embedding: `_untied` has compared.
    theirs = {k: v for k, v in theirs.items() if not k.startswith(BESIDE)}
    if theirs:
        raise CheckpointError(
            f"{where} holds {len(theirs)} tensors that its config does not speak of, "
            f"such as {min(theirs)}: the two do not belong together."
        )


def _with_full_names(
    tensors: dict[str, Tensor], base: str, model: GPT, where: str
) -> dict[str, Tensor]:
    """The tensors by the names of the class with a head, without buffers; empties `tensors`."""
    theirs = {}
    for name in list(tensors):
        tensor = tensors.pop(name)
        full = name if name.startswith((base, "lm_head.", *BESIDE)) else base + name
        if name.endswith(BUFFERS):
            _check_buffer(name, tensor, model.cfg, where)
        else:
            theirs[full] = tensor
    return theirs


BUFFERS = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")
"""What earlier versions of transformers saved, though it follows from the settings."""
BESIDE = ("multiple_choice_head.",)
"""GPT-2's second head, which stands beside the language model's and changes none of its logits."""


def _check_buffer(name: str, tensor: Tensor, cfg: GPTConfig, where: str) -> None:
    """Refuse a buffer that says other than what is computed in its place."""
    if name.endswith(".attn.bias"):
        size = tensor.shape[-1] if tensor.ndim else 0
        mask = torch.ones(size, size).tril().expand(tensor.shape) if size else tensor
        same = bool(size) and torch.equal(tensor.to(mask.dtype), mask)
    elif name.endswith(".attn.masked_bias"):  # what masked scores are set to: in effect, -inf
        same = tensor.numel() == 1 and float(tensor) <= -1e4
    else:
        # Before transformers 4.43 it was saved as it was before linear scaling.
        kinds = [
            rotary_frequencies(cfg.d_head, cfg.rope_theta, s) for s in (cfg.rope_scaling, None)
        ]
        bound = 1e-5 if tensor.dtype == torch.float32 else 1e-2
        same = any(
            tensor.shape == kind.shape and torch.allclose(tensor.float(), kind, rtol=bound, atol=0)
            for kind in kinds
        )
    if not same:
        raise CheckpointError(
            f"{name} in {where} must be what the settings make of it; it is not, so the model "
            "computes something else than its config says. Copy the folder again."
        )


def _take(theirs: dict[str, Tensor], key: str, where: str, settings: Mapping[str, Any]) -> Tensor:
    if key not in theirs:
        named = settings.get("architectures")
        saved = f", which was saved from {named[0]}," if isinstance(named, list) and named else ""
        close = near_misses(key, theirs, 1)
        close = close if close.startswith(" Did you mean") else ""
        raise CheckpointError(f"The model needs the tensor {key}; {where}{saved} lacks it.{close}")
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


def _tokenizer_settings(tokenizer: Tokenizer, n_ctx: int) -> dict[str, Any]:
    kind = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    return kind | tokenizer.special_tokens | {"model_max_length": n_ctx}


def _gguf_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a GGUF file, as transformers reads it."""
    from transformers import AutoTokenizer

    try:
        with panics_as_errors(), tempfile.TemporaryDirectory() as alone:
            # What lies beside the file would have a say in how its tokenizer is read.
            (Path(alone) / path.name).symlink_to(path.resolve())
            theirs = AutoTokenizer.from_pretrained(alone, gguf_file=path.name, **FILES_ALONE)
            return Tokenizer.from_transformers(theirs)
    except Exception as error:  # noqa: BLE001  (tokenizers raises nothing narrower)
        raise CheckpointError(
            f"The tokenizer in {path} must be whole; it is not ({first_line(error)}). "
            "Copy the file again."
        ) from None
