"""Model folders: written whole, read back only if every byte is what was written.

    config.json  model.safetensors  tokenizer.json  run.json  README.md
    checkpoints/step-000512/{model.safetensors, meta.json}

`run.json`, and the `meta.json` of a checkpoint, hold the SHA-256 of the files they speak for. They
are written last, so a folder that was left half-written reads as damaged, never as a mixture.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interp import __version__
from interp.core.errors import CheckpointError, ConfigError
from interp.core.files import (
    as_dtype,
    read_metadata,
    read_object,
    refuse_pickle,
    replacing_folder,
    safe_load_safetensors,
    safetensors_shapes,
    sha256_file,
    write_json,
    write_safetensors,
    write_text,
)
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.no_tokenizer import NoTokenizer
from interp.models.tokenizer import CONFIG, Tokenizer
from interp.models.weights import check_weight

WEIGHTS, SETTINGS, WORDS = "model.safetensors", "config.json", "tokenizer.json"
LONGEST_CONTEXT = 2**22
_STEP = re.compile(r"step-(\d{6,})")


def save_model(model: GPT, folder: str | Path, *, card: str | None = None) -> Path:
    """Write a model folder; what else is there (metrics, checkpoints, a run's record) stays.

    Args:
        folder: a new folder, or that of the model's own run.
        card: text of `README.md`; None keeps the one that is there, or writes a short one.
    Returns:
        The folder.
    """
    folder = Path(folder)
    record = read_object(folder / "run.json") if (folder / "run.json").exists() else {}
    own = {"model_hash": model.hash, "step": model.step, "interp": __version__}
    write_settings(model.cfg, model.tokenizer, folder)
    metadata = {} if model.step is None else {"step": str(model.step)}
    write_safetensors(folder / WEIGHTS, dict(model.named_parameters()), metadata)
    if card is not None or not (folder / "README.md").exists():
        write_text(folder / "README.md", card or _card(model))
    write_json(folder / "run.json", record | own | {"sha256": _hashes(folder, WEIGHTS)})
    return folder


def write_settings(
    cfg: GPTConfig, tokenizer: Tokenizer | NoTokenizer | None, folder: str | Path
) -> None:
    """Write `config.json` and the tokenizer: what every checkpoint below the folder shares."""
    folder = Path(folder)
    write_text(folder / SETTINGS, cfg.to_json() + "\n")
    if isinstance(tokenizer, Tokenizer):
        tokenizer.save(folder / WORDS)


def save_weights(
    folder: str | Path,
    step: int,
    weights: Mapping[str, Tensor],
    *,
    dtype: torch.dtype | None = None,
) -> Path:
    """Add a checkpoint to a folder that `write_settings` has written, whole or not at all.

    Args:
        folder: folder of the run.
        step: updates done.
        weights: the weights, by parameter name.
        dtype: dtype to write; None = that of the weights. bfloat16 halves the size of a history.
    Returns:
        The checkpoint's own folder.
    """
    folder = Path(folder)
    target = folder / "checkpoints" / f"step-{step:06d}"
    kept = dict(weights) if dtype is None else as_dtype(weights, dtype)
    with replacing_folder(target) as temporary:
        write_safetensors(temporary / WEIGHTS, kept, {"step": str(step)})
        hashes = {WEIGHTS: sha256_file(temporary / WEIGHTS)} | _hashes(folder)
        write_json(temporary / "meta.json", {"step": step, "sha256": hashes})
    return target


def checkpoint_steps(folder: str | Path) -> list[int]:
    """The steps of a folder's checkpoints, in order."""
    folders = [path.name for path in (Path(folder) / "checkpoints").glob("step-*/")]
    return sorted(int(match[1]) for match in map(_STEP.fullmatch, folders) if match)


def open_model(folder: str | Path, step: int | None = None) -> GPT:
    """Read a model folder, or a checkpoint of it, as float32 on the CPU.

    Args:
        folder: folder of a model, of a run, or of one checkpoint.
        step: which checkpoint; None = the finished model or, while there is none, the newest.
    Raises:
        CheckpointError: a file is missing, damaged, pickled or foreign, or there is no such step.
    """
    folder = Path(folder)
    own = _STEP.fullmatch(folder.resolve().name)
    if own and (folder / "meta.json").exists():
        folder, step = folder.resolve().parents[1], int(own[1])
    if not folder.is_dir():
        raise CheckpointError(f"A model needs a folder; {folder} is none. Check the path.")
    place, hashes = _find(folder, step)
    for name in (SETTINGS, WORDS, CONFIG, WEIGHTS):
        if name in hashes:
            _check(place if name == WEIGHTS else folder, name, hashes)
    weights = place / WEIGHTS
    cfg = _settings(folder / SETTINGS, safetensors_shapes(weights))
    tokenizer = _tokenizer(folder, hashes, cfg)
    model = GPT(cfg, tokenizer, seed=None, name=folder.resolve().name)
    fill(model, safe_load_safetensors(weights), weights)
    model.step = _step(weights, place)
    return model.eval()


@torch.no_grad()
def fill(model: GPT, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Copy tensors into a model's parameters, each exactly once.

    Raises:
        CheckpointError: one is missing, left over, of another shape, or holds other than finite
            real numbers.
    """
    parameters = dict(model.named_parameters())
    if set(tensors) != set(parameters):
        one = min(set(tensors) ^ set(parameters))
        what = "lacks" if one in parameters else "has, unlike the model,"
        raise CheckpointError(f"{path} {what} the tensor {one!r}. It is of another model.")
    for name, parameter in parameters.items():
        tensor = tensors[name]
        if tensor.shape != parameter.shape:
            raise CheckpointError(
                f"{path} must hold {name} in the shape {tuple(parameter.shape)}; it holds "
                f"{tuple(tensor.shape)}. It is of another model."
            )
        check_weight(name, tensor, str(path))
        parameter.copy_(tensor)


def _find(folder: Path, step: int | None) -> tuple[Path, Mapping[str, str]]:
    """The folder that holds the weights, and the SHA-256 of every file that counts."""
    steps = checkpoint_steps(folder)
    record = read_object(folder / "run.json") if (folder / "run.json").exists() else {}
    finished = "sha256" in record
    if finished and (step is None or (step == record.get("step") and step not in steps)):
        return folder, _table(folder / "run.json", record)
    step = steps[-1] if step is None and steps else step
    if step not in steps:
        raise CheckpointError(_no_such_step(folder, step, steps))
    place = folder / "checkpoints" / f"step-{step:06d}"
    return place, _table(place / "meta.json", read_object(place / "meta.json"))


def _no_such_step(folder: Path, step: int | None, steps: list[int]) -> str:
    if steps:
        return f"{folder} has no step {step}; it has {', '.join(map(str, steps))}. Ask for one."
    if (folder / SETTINGS).exists() and (folder / WEIGHTS).exists():
        return (
            f"{folder} needs a run.json with the SHA-256 of its files; there is none. Copy the "
            "folder again, or save the model with save_model."
        )
    for path in sorted(folder.iterdir()):
        if path.is_file():
            refuse_pickle(path)
    return f"{folder} must be a model's folder (config.json, {WEIGHTS}, run.json); it is none."


def _table(path: Path, record: Mapping[str, Any]) -> Mapping[str, str]:
    hashes = record.get("sha256")
    if not isinstance(hashes, dict) or not {SETTINGS, WEIGHTS} <= set(hashes):
        raise CheckpointError(
            f"{path} must hold the SHA-256 of {SETTINGS} and {WEIGHTS}; it does not. Copy the "
            "folder again."
        )
    return hashes


def _check(folder: Path, name: str, hashes: Mapping[str, str]) -> None:
    path = folder / name
    if sha256_file(path) != hashes[name]:
        refuse_pickle(path)
        raise CheckpointError(
            f"{path} is not what was written: its SHA-256 differs from the one on record. Copy it "
            "again, or load another step."
        )


def _settings(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> GPTConfig:
    try:
        cfg = GPTConfig.from_json(json.dumps(read_object(path)))
    except (ConfigError, ArithmeticError) as error:
        raise CheckpointError(f"{path} is not of this version's models: {error}") from None
    claimed = {"embed.weight": (cfg.d_vocab, cfg.d_model)} | {
        f"blocks.{layer}.{name}": shape
        for layer in (0, cfg.n_layers - 1)
        for name, shape in _block_shapes(cfg).items()
    }
    wrong = [name for name, shape in claimed.items() if shapes.get(name) != shape]
    too_many = f"blocks.{cfg.n_layers}.attn.qkv.weight" in shapes
    if wrong or too_many or not cfg.n_ctx <= LONGEST_CONTEXT:
        raise CheckpointError(  # before any memory is asked for
            f"{path} does not describe its weights ({(wrong or ['n_ctx, n_layers'])[0]}). "
            "The two files are of different models: copy the folder again."
        )
    return cfg


def _block_shapes(cfg: GPTConfig) -> dict[str, tuple[int, ...]]:
    heads = cfg.n_heads + 2 * cfg.n_key_value_heads
    shapes = {"attn.qkv.weight": (heads * cfg.d_head, cfg.d_model)}
    return shapes if cfg.attn_only else shapes | {"mlp.up.weight": (cfg.d_mlp, cfg.d_model)}


def _tokenizer(folder: Path, hashes: Mapping[str, str], cfg: GPTConfig) -> Tokenizer | None:
    if WORDS not in hashes:
        return None
    tokenizer = Tokenizer.load(folder / WORDS)
    if tokenizer.d_vocab > cfg.d_vocab:
        raise CheckpointError(
            f"{folder / WORDS} has {tokenizer.d_vocab} tokens, the model {cfg.d_vocab}. The two "
            "are of different models: copy the folder again."
        )
    return tokenizer


def _step(weights: Path, place: Path) -> int | None:
    said = read_metadata(weights).get("step")
    named = _STEP.fullmatch(place.name)
    if named and said != str(int(named[1])):
        raise CheckpointError(
            f"{weights} is of step {said}, its folder's name says {int(named[1])}. "
            "Rename the folder."
        )
    return int(said) if said is not None and said.isdecimal() else None


def _hashes(folder: Path, *more: str) -> dict[str, str]:
    there = [name for name in (SETTINGS, WORDS, CONFIG) if (folder / name).exists()]
    return {name: sha256_file(folder / name) for name in [*there, *more]}


def _card(model: GPT) -> str:
    cfg, n = model.cfg, sum(parameter.numel() for parameter in model.parameters())
    return (
        f"# {model.name}\n\n"
        f"A language model of {n:,} parameters, made with interp {__version__}: {cfg.n_layers} "
        f"layers of {cfg.n_heads} heads, {cfg.d_model} wide, {cfg.d_vocab} tokens, contexts of "
        f"{cfg.n_ctx}. Weights {model.hash}, step {model.step}.\n\n"
        '```python\nimport interp\n\nmodel = interp.load_model("PATH OF THIS FOLDER")\n```\n'
    )
