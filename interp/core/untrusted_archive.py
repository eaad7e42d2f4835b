"""A model folder that came from elsewhere, or a zip of one, read as if it wished us ill.

Only plain files of known kinds are written, under names that cannot leave the folder, and never
more bytes than were allowed, whatever the zip says of itself.
"""

import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from interp.core.errors import CheckpointError
from interp.core.files import PICKLED, inside, refuse_pickle

MOST_BYTES, MOST_FILES, LONGEST_PATH = 2 * 2**30, 1000, 200
KINDS = {".safetensors", ".json", ".jsonl", ".md", ".txt"}
PLAIN = {"license", "notice", "merges.txt"}
LEFT_OUT = re.compile(r"(^|/)(\.|__MACOSX/|states/|run\.lock)")
"""What systems and running jobs leave beside a model; it is no part of it."""
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


@dataclass(frozen=True)
class Piece:
    """One file of a parcel.

    Attributes:
        name: its path in the parcel, parts joined by `/`.
        size: bytes, as the parcel says.
        open: gives its bytes.
    """

    name: str
    size: int
    open: Callable[[], BinaryIO]


@contextmanager
def pieces_of(source: Path | BinaryIO) -> Iterator[list[Piece]]:
    """The files of a folder or zip, every name checked.

    Raises:
        CheckpointError: a name, a kind of file, a count or a size is refused, or it is no zip.
    """
    if isinstance(source, Path) and source.is_dir():
        yield checked(_in_folder(source))
        return
    try:
        parcel = zipfile.ZipFile(source)
    except _UNREADABLE as error:
        raise CheckpointError(
            f"A model's folder or a zip of one was needed; this is neither ({error}). Zip the "
            "folder again."
        ) from None
    with parcel:
        yield checked(_in_zip(parcel))


def checked(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces that belong to a model.

    Raises:
        CheckpointError: one has a name or kind that is refused, or they are too many or too large.
    """
    if len(pieces) > MOST_FILES:
        raise CheckpointError(
            f"A model is at most {MOST_FILES:,} files; {len(pieces):,} came. Import its folder "
            "alone."
        )
    for piece in pieces:
        _check_name(piece.name)
    kept = [piece for piece in pieces if not LEFT_OUT.search(piece.name)]
    for piece in kept:
        _check_kind(piece.name)
    names = [piece.name.casefold() for piece in kept]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise CheckpointError(f"Every file must be there once; {shown(twice)} is there twice.")
    if sum(piece.size for piece in kept) > MOST_BYTES:
        raise CheckpointError(_too_large())
    return kept


def write(pieces: Sequence[Piece], folder: Path) -> None:
    """Write the pieces below a new folder.

    Raises:
        CheckpointError: one is damaged, a pickle or a zip, or they are more bytes than they said.
    """
    left = MOST_BYTES
    for piece in pieces:
        target = inside(folder, piece.name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with piece.open() as source, target.open("xb") as file:
                left -= _copy(source, file, left)
        except _UNREADABLE as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(
                f"{shown(piece.name)} cannot be unpacked ({error}). Zip the folder again."
            ) from None
        _refuse_programs(target, piece.name)


def shown(name: str) -> str:
    """A name as a sentence can hold it: short, every sign of it to be seen.

    Example:
        >>> shown("a" * 99)
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…'"
    """
    return ascii(name) if len(name) <= 60 else ascii(name[:60])[:-1] + "…'"


def _in_folder(folder: Path) -> list[Piece]:
    found = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if LEFT_OUT.search(name):
            continue
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise CheckpointError(_no_plain_file(name))
        if path.is_file():
            found.append(Piece(name, path.stat().st_size, lambda path=path: path.open("rb")))
        if len(found) > MOST_FILES:
            break
    return found


def _in_zip(parcel: zipfile.ZipFile) -> list[Piece]:
    found = []
    for info in parcel.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise CheckpointError(_no_plain_file(info.orig_filename))
        if info.flag_bits & 1:
            raise CheckpointError("The zip has a password. Zip the folder again without one.")
        name = info.orig_filename
        if info.is_dir():
            _check_name(name.rstrip("/"))
        else:
            found.append(Piece(name, info.file_size, lambda info=info: parcel.open(info)))
    return found


def _check_name(name: str) -> None:
    inside("the model", name)
    if len(name) > LONGEST_PATH or not all(sign.isprintable() for sign in name):
        raise CheckpointError(
            f"File names must be short and printable; {shown(name)} is not. Do not trust the file."
        )


def _check_kind(name: str) -> None:
    last = name.rpartition("/")[2].lower()
    suffix = Path(last).suffix
    if suffix in PICKLED:
        raise CheckpointError(
            f"{shown(name)} is a pickle: reading it could run any program it holds, so it is never "
            "opened. Take the model's safetensors."
        )
    if suffix not in KINDS and last not in PLAIN:
        raise CheckpointError(
            f"A model is safetensors, JSON and text; {shown(name)} is none of these. Leave it out."
        )


def _copy(source: BinaryIO, file: BinaryIO, most: int) -> int:
    written = 0
    while block := source.read(2**20):
        written += len(block)
        if written > most:
            raise CheckpointError(_too_large())
        file.write(block)
    return written


def _refuse_programs(path: Path, name: str) -> None:
    try:
        refuse_pickle(path)
    except CheckpointError:
        raise CheckpointError(
            f"{shown(name)} holds a pickle or another zip under a false name, so it is not opened. "
            "Do not trust the file."
        ) from None


def _no_plain_file(name: str) -> str:
    return (
        f"A model is plain files; {shown(name)} is a link, device or pipe. Copy what it leads to "
        "into the folder (cp -rL)."
    )


def _too_large() -> str:
    return (
        f"A model of at most {MOST_BYTES / 2**30:.0f} GB can be imported; this one is larger. "
        "Open it in Python: interp.load_model(FOLDER)."
    )


def remove(folder: Path) -> None:
    """Take away a folder and all that is in it, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)
