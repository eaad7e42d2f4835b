"""What was measured of a checkpoint before: in memory, and beside the run where it was trained.

A file is one measure of one checkpoint's weights on one ground. It counts only if it is whole and
of this version; anything else is measured again.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any

from interp import __version__
from interp.core.errors import CheckpointError
from interp.core.files import read_object, write_text
from interp.methods.checkpoints.measure_scores import Scores

FOLDER, LOCK = "measures", "run.lock"
MOST_KEPT = 4096
FIELDS = ("part", "whole", "control")
Found = Mapping[str, Scores]

_kept: dict[tuple[str, str, str], Found] = {}


def known(folder: Path | None, weights: str, measure: str, ground: str) -> Found | None:
    """What was measured of these weights; None when nothing was, or when it is damaged.

    Args:
        folder: of the run; None = look in memory only.
        weights: the model's hash.
        measure: its name.
        ground: its digest.
    """
    key = (weights, measure, ground)
    if key not in _kept and folder is not None:
        found = _read(_path(folder, key), key)
        if found is not None:
            _kept[key] = found
    return _kept.get(key)


def keep(folder: Path | None, weights: str, measure: str, ground: str, found: Found) -> None:
    """Remember it; on disk only in a folder where a run was trained, so that a copied or shipped
    model stays as it was."""
    key = (weights, measure, ground)
    while len(_kept) >= MOST_KEPT:
        _kept.pop(next(iter(_kept)))
    _kept[key] = found
    if folder is None or not (folder / LOCK).exists():
        return
    curves = {name: {f: getattr(scores, f) for f in FIELDS} for name, scores in found.items()}
    told = {"key": [*key, __version__], "curves": curves}
    with suppress(OSError, ValueError):  # a full or read-only disk, or a number JSON has not
        text = json.dumps(told | {"sha256": _digest(told)}, allow_nan=False)
        write_text(_path(folder, key), text + "\n")


def forget() -> None:
    """Empty the memory; files stay."""
    _kept.clear()


def _path(folder: Path, key: tuple[str, str, str]) -> Path:
    weights, measure, ground = key
    return folder / FOLDER / weights / f"{measure}-{ground}.json"


def _read(path: Path, key: tuple[str, str, str]) -> Found | None:
    try:
        told = read_object(path)
    except CheckpointError:
        return None
    right = told.pop("sha256", None) == _digest(told) and told.get("key") == [*key, __version__]
    curves = told.get("curves")
    if not right or not isinstance(curves, dict) or not all(map(_is_whole, curves.values())):
        return None
    return {name: Scores(**{f: tuple(c[f]) for f in FIELDS}) for name, c in curves.items()}


def _is_whole(curve: Any) -> bool:
    if not isinstance(curve, dict) or set(curve) != set(FIELDS):
        return False
    rows = [curve[name] for name in FIELDS]
    if not all(isinstance(row, list) for row in rows):
        return False
    fits = len(rows[0]) == len(rows[1]) > 0 and len(rows[2]) in (0, len(rows[0]))
    return fits and all(isinstance(x, int | float) and isfinite(x) for row in rows for x in row)


def _digest(told: Mapping[str, Any]) -> str:
    return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
