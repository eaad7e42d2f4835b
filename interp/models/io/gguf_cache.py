"""GGUF files converted once: later a file opens from its copy, in a second instead of ten.

A copy is a model folder as `save_model` writes it, in the user's cache folder. It is found by the
SHA-256 of the whole GGUF file, of the code that reads such files, and by the versions of the
libraries that help, so another file, or another reading of it, never opens an old copy; and
`open_model` takes it only if every byte is what was written, or else the file is converted again.

`INTERP_CACHE` names another folder; `INTERP_CACHE=off` keeps no copies.
"""

import hashlib
import os
import shutil
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import torch

from interp.core.errors import CheckpointError
from interp.core.files import replacing_folder, sha256_file
from interp.models import config, tokenizer
from interp.models.gpt import GPT
from interp.models.io import checkpoint, gguf_file, huggingface, huggingface_config
from interp.models.io.checkpoint import open_model, save_model

MOST_BYTES = 10 * 2**30
"""All copies together; the least recently opened go first."""
READERS = (gguf_file, huggingface, huggingface_config, tokenizer, checkpoint, config)
LIBRARIES = ("gguf", "tokenizers", "transformers")


def open_gguf(
    path: str | Path,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> GPT:
    """As `load_gguf`, but from the copy of an earlier time where there is one.

    Raises:
        ConfigError: the `gguf` extra is not installed, or the architecture has no counterpart.
        CheckpointError: the file is missing or damaged.
    """
    path, folder = Path(path), cache_folder()
    if folder is None:
        return huggingface.load_gguf(path, device=device, dtype=dtype)
    copy = folder / _key(path)
    model = _opened(copy)
    if model is None:
        model = huggingface.load_gguf(path)
        with suppress(OSError):  # a full or read-only disk: then there is no copy
            _keep(model, copy)
    model.name = path.stem
    return huggingface.converted(model, device, dtype, str(path))


def cache_folder() -> Path | None:
    """Where copies are kept; None = nowhere."""
    wanted = os.environ.get("INTERP_CACHE", "")
    if wanted.lower() == "off":
        return None
    if wanted:
        return Path(wanted).expanduser() / "gguf"
    usual = {"win32": "AppData/Local", "darwin": "Library/Caches"}.get(sys.platform, ".cache")
    root = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(root) if root else Path.home() / usual) / "interp" / "gguf"


def _key(path: Path) -> str:
    digests = [sha256_file(path), *(sha256_file(reader.__file__) for reader in READERS)]
    digests += [version(library) for library in LIBRARIES]
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def _opened(copy: Path) -> GPT | None:
    """The model of a copy; None where there is none, or one that is damaged."""
    try:
        model = open_model(copy)
        os.utime(copy)
    except OSError:  # a CheckpointError is one
        return None
    return model


def _keep(model: GPT, copy: Path) -> None:
    """Write the copy, whole or not at all, after the oldest others made room for it."""
    size = sum(p.nbytes for p in model.parameters())
    if size > MOST_BYTES:
        return
    others = [place for place in copy.parent.glob("*") if place.is_dir() and place != copy]
    room = MOST_BYTES - size
    for place in sorted(others, key=lambda place: -place.stat().st_mtime):
        room -= sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
        if room < 0:
            shutil.rmtree(place, ignore_errors=True)
    with replacing_folder(copy) as temporary:
        save_model(model, temporary)
        if open_model(temporary).hash != model.hash:  # then no copy is kept
            raise CheckpointError(f"The copy in {copy} must be the model it was made of.")
