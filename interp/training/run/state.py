"""Full states of a run: written whole or not at all, checked by hash, the newest valid one wins."""

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from interp.core.errors import CheckpointError
from interp.core.files import (
    read_object,
    replacing_folder,
    safe_load_safetensors,
    sha256_file,
    write_json,
    write_safetensors,
)
from interp.training.run.write_errors import naming_refusals

_FILES = ("model.safetensors", "optimizer.safetensors")
_NAME = re.compile(r"step-(\d{6,})")
WriteCallback = Callable[[str], None]
"""Called with `before`, `model written`, `written`, `renamed` and `pruned` during a write."""


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """All that a run needs to go on after `step` updates; there is no random state and no loader's.

    Attributes:
        step: updates done.
        model: the model's weights, by parameter name.
        optimizer: the optimizers' buffers, by name.
        meta: further record (recipe, corpus hash, versions).
    """

    step: int
    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    meta: Mapping[str, Any]


def save_state(
    folder: Path, state: TrainingState, *, keep: int, on_write: WriteCallback = lambda moment: None
) -> Path:
    """Write a state beside the older ones; those beyond the `keep` newest go when it is whole.

    Args:
        folder: folder of all states of the run.
        state: the state to write, its tensors on any device.
        keep: number of newest states that stay.
        on_write: called with the name of each stage of the write.
    Returns:
        The state's own folder.
    Raises:
        TrainingError: the disk is full or refuses; older states are as they were.
    """
    target = folder / f"step-{state.step:06d}"
    on_write("before")
    with naming_refusals(f"state after step {state.step}", folder.parent):
        if not _is_valid(target):
            with replacing_folder(target) as temporary:
                _write(temporary, state, on_write)
        on_write("renamed")
        _remove_leftovers(folder)
        for old in _folders(folder)[keep:]:
            shutil.rmtree(old)
    on_write("pruned")
    return target


def newest_state(folder: Path) -> tuple[TrainingState | None, list[str]]:
    """The newest state that is whole, and a warning for each newer one that is not.

    Returns:
        The state, or None when there is no valid one; the warnings.
    """
    warnings: list[str] = []
    for candidate in _folders(folder):
        try:
            return load_state(candidate), warnings
        except CheckpointError as damage:
            warnings.append(f"Passed over a damaged state: {damage}")
    return None, warnings


def load_state(folder: Path) -> TrainingState:
    """One state by its folder.

    Raises:
        CheckpointError: a file is missing or is not what was written; says which.
    """
    meta = _read_meta(folder)
    model, optimizer = (_read_tensors(folder / name, meta["sha256"]) for name in _FILES)
    return TrainingState(step=meta["step"], model=model, optimizer=optimizer, meta=meta["meta"])


def _write(folder: Path, state: TrainingState, on_write: WriteCallback) -> None:
    hashes = {}
    for name, tensors in zip(_FILES, (state.model, state.optimizer), strict=True):
        write_safetensors(folder / name, tensors)
        hashes[name] = sha256_file(folder / name)
        if name == _FILES[0]:
            on_write("model written")
    meta = {"step": state.step, "sha256": hashes, "meta": dict(state.meta)}
    write_json(folder / "meta.json", meta)
    on_write("written")


def _read_meta(folder: Path) -> dict[str, Any]:
    meta = read_object(folder / "meta.json")
    kinds = {"step": int, "sha256": dict, "meta": dict}
    if any(not isinstance(meta.get(name), kind) for name, kind in kinds.items()):
        raise CheckpointError(
            f"{folder / 'meta.json'} must hold a step, SHA-256s and what was recorded; it does "
            f"not. Remove {folder}."
        )
    return meta


def _read_tensors(path: Path, hashes: Mapping[str, str]) -> dict[str, Tensor]:
    if sha256_file(path) != hashes.get(path.name):
        raise CheckpointError(
            f"{path} is not what was written: its SHA-256 differs from meta.json's. Remove "
            f"{path.parent}."
        )
    return safe_load_safetensors(path)


def _is_valid(folder: Path) -> bool:
    try:
        load_state(folder)
    except CheckpointError:
        return False
    return True


def _folders(folder: Path) -> list[Path]:
    """The folders of states, newest first."""
    if not folder.is_dir():
        return []
    named = [path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir()]
    return sorted(named, key=lambda path: int(path.name[5:]), reverse=True)


def _remove_leftovers(folder: Path) -> None:
    """What a killed writer left; nobody else writes while the run's lock is held."""
    for path in folder.glob(".step-*"):
        shutil.rmtree(path)
