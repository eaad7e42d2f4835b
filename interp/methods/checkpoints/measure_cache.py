"""What was measured of a checkpoint before: in memory, and beside the run where it was trained.

A file is one measure of one checkpoint's weights on one evaluation set. It counts only if it is
whole and of this version; anything else is measured again. These are not saved results: a timeline
is a result of many such numbers, so that one more checkpoint or measure costs its own pass alone.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any

from interp import __version__
from interp.core.cache import ByteBoundedCache
from interp.core.errors import CheckpointError
from interp.core.files import read_object, write_text
from interp.methods.checkpoints.measure_scores import Scores

FOLDER, LOCK = "measures", "run.lock"
MOST_BYTES = 64 * 2**20
FIELDS = ("part", "whole", "control")
Key = tuple[str, str, str]
"""The weights' hash, the measure's name, and the evaluation set's digest."""
Curves = Mapping[str, Scores]
"""The scores of one measure of one checkpoint, by the name of the curve."""

_memory = ByteBoundedCache(MOST_BYTES)


def known(folder: Path | None, key: Key) -> Curves | None:
    """What was measured before; None when nothing was, or when it is damaged.

    Args:
        folder: of the run; None = look in memory only.
        key: what was measured of what.
    """
    curves = _memory.get(key)
    if curves is None and folder is not None:
        curves = _read(_path(folder, key), key)
        if curves is not None:
            _memory.put(key, curves)
    return curves


def keep(folder: Path | None, key: Key, curves: Curves) -> None:
    """Remember what was measured; on disk only in a folder where a run was trained, so that a
    copied or shipped model stays as it was.

    Args:
        folder: of the run; None = in memory only.
        key: what was measured of what.
        curves: what was measured.
    """
    _memory.put(key, curves)
    if folder is None or not (folder / LOCK).exists():
        return
    numbers = {name: {f: getattr(scores, f) for f in FIELDS} for name, scores in curves.items()}
    record = {"key": [*key, __version__], "curves": numbers}
    with suppress(OSError, ValueError):  # a full or read-only disk, or a number JSON has not
        text = json.dumps(record | {"sha256": _digest(record)}, allow_nan=False)
        write_text(_path(folder, key), text + "\n")


def forget() -> None:
    """Empty the memory; files stay."""
    _memory.clear()


def _path(folder: Path, key: Key) -> Path:
    weights, measure, digest = key
    return folder / FOLDER / weights / f"{measure}-{digest}.json"


def _read(path: Path, key: Key) -> Curves | None:
    try:
        record = read_object(path)
    except CheckpointError:
        return None
    is_whole = record.pop("sha256", None) == _digest(record)
    right = is_whole and record.get("key") == [*key, __version__]
    curves = record.get("curves")
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


def _digest(record: Mapping[str, Any]) -> str:
    return sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
