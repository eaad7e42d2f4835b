"""The packed text of a run, where it still lies in the run's folder or beside it."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from interp.core.errors import CheckpointError
from interp.core.files import inside, read_object, sha256_file
from interp.runs.record import corpus_of, record_of

Part = Mapping[str, Any]
"""What a corpus says of one level of a split: how many tokens it has, and its files."""


def packed_parts(
    folder: Path | None, digest: object, split: str = "train"
) -> Iterator[tuple[Path, Mapping[str, Part]]]:
    """Where a run's corpus lies, and the parts of a split by level; nothing where it is gone.

    Args:
        folder: the run's; None = there is none.
        digest: the corpus' hash on the run's record, empty where it has none: another corpus is
            not the run's.
        split: `train` or `held_out`.
    """
    places = () if folder is None else (folder / "corpus", folder.parent / "corpus")
    for place in places:
        with suppress(CheckpointError, KeyError, TypeError, AttributeError):
            manifest = read_object(place / "corpus.json")
            if digest and manifest.get("hash") == digest:
                yield place / split, manifest["parts"][split]


def part_ids(place: Path, level: str, part: Part) -> Int[np.ndarray, " pos"]:
    """Every token id of a part, in order, on the disk.

    Args:
        place: folder of the split.
        level: of the part.
        part: what the corpus says of it.
    """
    file = inside(place, f"{level}/{part['files']['tokens']['name']}")
    return np.memmap(file, "<u2" if file.suffix == ".u16" else "<u4", "r")


def has_held_out(folder: Path) -> bool:
    """Whether the text that a run was never trained on seems to be there; nothing of it is read."""
    return folder.is_dir() and any(packed_parts(folder, _digest(folder), "held_out"))


def held_out_ids(folder: Path | None) -> Int[np.ndarray, " pos"]:
    """The ids that a run was never trained on, of its last level, as every evaluation reads them.

    Returns:
        The ids, or none: the corpus is not there, or is not what was written.
    """
    for place, parts in packed_parts(folder, _digest(folder), "held_out"):
        with suppress(KeyError, TypeError, IndexError, AttributeError, OSError, ValueError):
            level, part = list(parts.items())[-1]
            ids = part_ids(place, level, part)
            if sha256_file(ids.filename) == part["files"]["tokens"]["sha256"]:
                return ids
    return np.zeros(0, np.uint16)


def _digest(folder: Path | None) -> str:
    """Of the run's corpus; empty where no record says it, or a damaged one."""
    with suppress(CheckpointError):
        return "" if folder is None else corpus_of(record_of(folder))[0]
    return ""
