"""Full states of a run: written whole or not at all, checked by hash, the newest valid one wins."""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from interp.core.errors import CheckpointError
from interp.core.files import (
    holds_only,
    read_object,
    read_text,
    remove_leftovers,
    replacing_folder,
    safe_load_safetensors,
    sha256_file,
    write_json,
    write_safetensors,
    write_text,
)
from interp.training.run.write_errors import naming_refusals

_FILES = ("model.safetensors", "optimizer.safetensors")
_META, _META_HASH = "meta.json", "meta.json.sha256"
_NAME = re.compile(r"step-(\d{6,})")
Stamp = tuple[tuple[str | int, ...], ...]
_whole: dict[Path, Stamp] = {}
"""States that this process wrote, or hashed and found whole, and what their files looked like.

Saving a state looks at all that are kept, and hashing them takes seconds where a model is large.
Size, times and inode prove nothing about bytes from one process to the next: clocks step, files are
copied with their times, disks rot. So nothing of this is written down: a run that resumes hashes
what it finds. Within a process it is enough: no other run writes here (the run's lock), whoever
else changes a file changes its times, and every state is hashed again before it is gone on from
(`load_state`). Only a change within the same tick of the clock, some milliseconds after the last
look, would not be seen.
"""
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
    """Write a state beside the older ones; when it is whole, all but the `keep` newest go.

    Args:
        folder: folder of all states of the run.
        state: the state to write, its tensors on any device.
        keep: number of newest whole states, of those up to this step, that stay. Folders that hold
            anything else than a state's files stay as well.
        on_write: called with the name of each stage of the write.
    Returns:
        The state's own folder.
    Raises:
        TrainingError: the disk is full or refuses; older states are as they were.
    """
    target = folder / f"step-{state.step:06d}"
    on_write("before")
    with naming_refusals(f"state after step {state.step}", folder.parent):
        if not _is_kept(target, state):
            with replacing_folder(target) as temporary:
                _write(temporary, state, on_write)
            _whole[target.absolute()] = _stamp(target)
        on_write("renamed")
        remove_leftovers(folder)
        prune_states(folder, state.step, keep)
    on_write("pruned")
    return target


def newest_state(
    folder: Path, check: Callable[[TrainingState], None] = lambda state: None
) -> tuple[TrainingState | None, list[str]]:
    """The newest state that is whole, and a warning for each newer one that is not.

    Args:
        folder: folder of all states of the run.
        check: raises CheckpointError for a state that cannot be gone on from.
    Returns:
        The state, or None when there is no valid one; the warnings.
    """
    warnings: list[str] = []
    for candidate in _folders(folder):
        try:
            state = load_state(candidate)
            check(state)
        except CheckpointError as damage:
            warnings.append(f"Passed over a damaged state: {damage}")
        else:
            return state, warnings
    return None, warnings


def has_state(folder: Path) -> bool:
    """Whether one state of the folder, at least, is whole; no weight is loaded."""
    return any(map(_is_whole, _folders(folder)))


def is_sealed(folder: Path, step: int) -> bool:
    """Whether a state's record has a hash, which those of version 0.1 have not."""
    return (folder / f"step-{step:06d}" / _META_HASH).exists()


def load_state(folder: Path) -> TrainingState:
    """One state by its folder.

    Raises:
        CheckpointError: a file is missing or is not what was written; says which.
    """
    before = _stamp(folder)
    meta = _read_meta(folder)
    model, optimizer = (_read_tensors(folder / name, meta["sha256"]) for name in _FILES)
    _whole[folder.absolute()] = before
    return TrainingState(step=meta["step"], model=model, optimizer=optimizer, meta=meta["meta"])


def prune_states(folder: Path, step: int, keep: int) -> None:
    """Remove the states up to a step but for the `keep` newest whole ones."""
    # A later one is damaged, or this run would have begun there: it must not count as kept.
    for old in (each for each in _folders(folder) if _step(each) <= step):
        if keep and _is_whole(old):
            keep -= 1
        elif holds_only(old, (*_FILES, _META, _META_HASH)):
            _whole.pop(old.absolute(), None)
            shutil.rmtree(old)


def _write(folder: Path, state: TrainingState, on_write: WriteCallback) -> None:
    hashes = {}
    for name, tensors in zip(_FILES, (state.model, state.optimizer), strict=True):
        write_safetensors(folder / name, tensors)
        hashes[name] = sha256_file(folder / name)
        if name == _FILES[0]:
            on_write("model written")
    meta = {"step": state.step, "sha256": hashes, "meta": dict(state.meta)}
    write_json(folder / _META, meta)
    write_text(folder / _META_HASH, f"{sha256_file(folder / _META)}  {_META}\n")
    on_write("written")


def _read_meta(folder: Path) -> dict[str, Any]:
    path, hashed = folder / _META, folder / _META_HASH
    # Version 0.1 wrote no hash of the record: such a state is taken if all else about it is right.
    if hashed.exists() and read_text(hashed).split()[:1] != [sha256_file(path)]:
        raise CheckpointError(
            f"{path} is not what was written: its SHA-256 differs from {hashed.name}'s. Remove "
            f"{folder}."
        )
    meta = read_object(path)
    step, kinds = _step(folder), {"step": int, "sha256": dict, "meta": dict}
    if any(type(meta.get(name)) is not kind for name, kind in kinds.items()) or (
        meta["step"] != step
    ):
        raise CheckpointError(
            f"{path} must hold the step {step}, SHA-256s and what was recorded; it does not. "
            f"Remove {folder}."
        )
    return meta


def _read_tensors(path: Path, hashes: Mapping[str, str]) -> dict[str, Tensor]:
    _check(path, hashes)
    return safe_load_safetensors(path)


def _check(path: Path, hashes: Mapping[str, str]) -> None:
    if sha256_file(path) != hashes.get(path.name):
        raise CheckpointError(
            f"{path} is not what was written: its SHA-256 differs from {_META}'s. Remove "
            f"{path.parent}."
        )


def _is_kept(folder: Path, state: TrainingState) -> bool:
    """Whether a state is there already, and not one that was whole but passed over."""
    return _is_whole(folder) and read_object(folder / _META)["meta"] == json.loads(
        json.dumps(dict(state.meta))
    )


def _is_whole(folder: Path) -> bool:
    before = _stamp(folder)  # first: what changes while it is hashed must not count as seen
    if before and _whole.get(folder.absolute()) == before:
        return True
    try:
        hashes = _read_meta(folder)["sha256"]
        for name in _FILES:
            _check(folder / name, hashes)
    except CheckpointError:
        return False
    _whole[folder.absolute()] = before
    return True


def _stamp(folder: Path) -> Stamp:
    """Name, place, size and times of each file of a state; empty where they cannot be had."""
    try:
        status = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
    except OSError:
        return ()
    return tuple(
        (name, s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for name, s in status
    )


def _step(folder: Path) -> int | None:
    named = _NAME.fullmatch(folder.name)
    return int(named[1]) if named else None


def _folders(folder: Path) -> list[Path]:
    """The folders of states, newest first."""
    if not folder.is_dir():
        return []
    named = [path for path in folder.iterdir() if _step(path) is not None and path.is_dir()]
    return sorted(named, key=_step, reverse=True)
