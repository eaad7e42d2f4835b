"""One way in for every model: our folders and runs, `transformers`, GGUF, names on the hub."""

from itertools import islice
from pathlib import Path
from typing import Any

import torch

from interp.core.errors import CheckpointError, ConfigError, near_misses
from interp.core.files import read_object, refuse_pickle
from interp.core.protocols import LanguageModel
from interp.models.io import hub
from interp.models.io.checkpoint import open_model
from interp.models.io.device import pick_device
from interp.models.io.history import History

_PACKAGE = Path(__file__).resolve().parents[2]
SHIPPED = (_PACKAGE.parent / "trained_models", _PACKAGE / "trained_models")
"""Where the shipped models are: in a checkout, and in an installed wheel."""


def load_model(
    source: str | Path,
    *,
    step: int | None = None,
    device: str | torch.device = "auto",
    dtype: torch.dtype | None = None,
    bos: bool | None = None,
) -> LanguageModel:
    """Open a model, whatever it is kept in; nothing is ever unpickled.

    Args:
        source: a model folder, a run's folder, a checkpoint's folder, a `transformers` folder, a
            GGUF file, the name of a shipped model (`stories-demo`), or `hf:` and a name on
            huggingface.co (`hf:openai-community/gpt2`); what was fetched from there before opens
            by its bare name too. A family that we have no weights for opens through
            TransformerLens. Without `hf:` the network is never asked.
        step: a checkpoint of a run; None = the finished model, or the newest checkpoint.
        device: `auto` = CUDA, else MPS, else the CPU.
        dtype: dtype of the weights; None = float32.
        bos: whether a beginning-of-text token is put before every text; None = as the model's own
            tokenizer files say.
    Raises:
        CheckpointError: a file is missing, damaged, pickled or foreign.
        ConfigError: `step` of something that has none, or a device that is not there.
        TokenError: `bos`, and the model's tokenizer has no such token.
    Example:
        >>> load_model("no/such/model.gguf")
        Traceback (most recent call last):
        interp.core.errors.CheckpointError: There is no no/such/model.gguf. Check the path.
    """
    place, path = pick_device(device), _found(source)
    if _is_ours(path):
        model: Any = open_model(path, step).to(device=place, dtype=dtype)
        model.history = _history(source, path, device=device, dtype=dtype, bos=bos)
    elif step is not None:
        raise ConfigError(
            f"Only a run has steps; {source} is not a run. Leave `step` out, or name a run."
        )
    else:
        model = _foreign(path, place, dtype or torch.float32)
    if find_model(source) is None:
        model.name = str(source).removeprefix(hub.PREFIX)
    model.source, model.bos = str(source), bos
    if bos is not None:
        model.tokenizer = model.tokenizer.with_bos(bos)
    return model


def _found(source: str | Path) -> Path:
    """The file or folder that is meant; only `hf:` asks the hub for one that is not here.

    Raises:
        CheckpointError: nothing is there; what is called alike is named.
    """
    name = str(source)
    path = find_model(source)
    if path is None and name.startswith(hub.PREFIX):
        return hub.fetch(name.removeprefix(hub.PREFIX))
    path = path or hub.fetched(name)
    if path is None:
        close = near_misses(name, [*_beside(Path(name)), *shipped_models()])
        close = close if close.startswith(" Did you mean") else ""
        ask = f" A model on huggingface.co is asked for by {hub.PREFIX + name!r}."
        raise CheckpointError(
            f"There is no {name or 'model without a name'}. Check the path.{close}"
            f"{ask if hub.is_name(name) else ''}"
        )
    return path


def _beside(path: Path) -> list[str]:
    """What is in the folder where this should be, written as it was."""
    try:
        names = [each.name for each in islice(path.expanduser().parent.iterdir(), 1000)]
    except (OSError, ValueError):
        return []
    return [str(path.with_name(name)) for name in names] if path.name else []


def _history(source: str | Path, path: Path, **options: Any) -> History:
    """The run that a checkpoint belongs to, opened in the same way."""
    folder = path.resolve()
    if folder.parent.name == "checkpoints":
        folder, source = folder.parents[1], str(folder.parents[1])
    record = folder / "run.json"
    last = read_object(record).get("step") if record.exists() else None
    return History(folder, last, lambda step: load_model(source, step=step, **options))


def find_model(source: str | Path) -> Path | None:
    """The file or folder that `source` names: a path, or a shipped model by its bare name."""
    shipped = [root / source for root in SHIPPED if not Path(source).is_absolute()]
    shipped += [root.parent / source for root in SHIPPED if _is_below_shipped(source)]
    try:
        places = (Path(source).expanduser(), *shipped)
        return next((place for place in places if place.exists()), None)
    except (OSError, RuntimeError, ValueError):  # too long, or of a user who is not known here
        return None


def shipped_models() -> list[str]:
    """The names of the models that come with interp."""
    folders = (path.parent for root in SHIPPED for path in root.glob("*/config.json"))
    return sorted({folder.name for folder in folders})


def _is_below_shipped(source: str | Path) -> bool:
    parts = Path(source).parts
    return len(parts) == 2 and parts[0] == "trained_models"


def _is_ours(path: Path) -> bool:
    marks = ("run.json", "meta.json", "checkpoints")
    return path.is_dir() and any((path / mark).exists() for mark in marks)


def _foreign(path: Path, device: torch.device, dtype: torch.dtype) -> LanguageModel:
    from interp.models.io import gguf_cache, huggingface

    if path.is_file():
        if path.suffix.lower() == ".gguf":
            return gguf_cache.open_gguf(path, device=device, dtype=dtype)
        refuse_pickle(path)
        raise CheckpointError(
            f"A model is a folder or a .gguf file; {path} is neither. Give the folder."
        )
    config = _config(path)
    if not {"architectures", "model_type"} & set(config):
        return open_model(path)
    if not list(path.glob("*.safetensors")):
        for pickle in sorted(path.glob("*.bin")):
            refuse_pickle(pickle)
    elif not _is_family(config):
        from interp.models.transformer_lens_bridge import load_bridge

        return load_bridge(str(path), device=device, dtype=dtype)
    return huggingface.load_huggingface(path, device=device, dtype=dtype)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    config = read_object(path) if path.exists() else {}
    named = config.get("architectures") or []
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise CheckpointError(f"{path} must name its architectures in a list; it does not.")
    return config


def _is_family(config: dict[str, Any]) -> bool:
    from interp.models.io.huggingface_config import architecture_of

    try:
        architecture_of(config)
    except ConfigError:
        return False
    return True
