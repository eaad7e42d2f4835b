"""A folder or zip that came from elsewhere, read as if it wished us ill.

Names are checked before anything is read, sizes before anything is unpacked. Only plain files of
known kinds are read or written, under names that cannot leave the folder, and never more bytes than
were allowed, whatever the zip says of itself. Nothing is held in memory but what is asked for.
"""

import io
import json
import lzma
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from interp.core.errors import CheckpointError
from interp.core.files import PICKLED, inside, refuse_pickle, regular_file

LONGEST_PATH = 200
DISTRUST = "Do not trust the file."
UNREADABLE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError,
    RuntimeError, ValueError, LookupError, ArithmeticError, TypeError, AttributeError, MemoryError,
    OSError,
)  # fmt: skip
"""What reading a damaged archive can raise: `zipfile`, the ways to pack that it knows, and JSON of
another form where it is read. Whoever opens an archive catches these."""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What an archive of one kind may hold.

    Attributes:
        what: such an archive in a sentence: `a model`.
        needed: name of a file that every one holds, at whatever depth.
        suffixes: suffixes of the files it may hold, in small letters.
        kinds: the files it may hold, in the words of a sentence.
        plain_names: names of files it may hold whatever their suffix, in small letters.
        left_out: a pattern of names that are passed over; None = no name is.
        folders: whether it may be a folder, or a zip that names its folders.
        most_files: how many files it holds at most.
        most_bytes: bytes of all its files together, unpacked.
        most_json: bytes of a JSON file: read, it takes some forty times as much memory.
        most_packed: bytes of the zip itself; None = as many as there are.
        advice: a sentence for one that is damaged or of another kind.
        if_too_large: a sentence for one that is over a bound.
    """

    what: str
    needed: str
    suffixes: frozenset[str]
    kinds: str
    plain_names: frozenset[str] = frozenset()
    left_out: re.Pattern[str] | None = None
    folders: bool = False
    most_files: int
    most_bytes: int
    most_json: int = 32 * 2**20
    most_packed: int | None = None
    advice: str
    if_too_large: str

    def refusal(self, why: str, advice: str | None = None) -> CheckpointError:
        """The error that says what such an archive must be, what this one is, and what to do."""
        what = self.what[:1].upper() + self.what[1:]
        return CheckpointError(f"{what} {why} {self.advice if advice is None else advice}")


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One file of an archive.

    Attributes:
        name: path in the archive, joined by `/`.
        size: bytes, as the archive says.
        open: gives its bytes.
    """

    name: str
    size: int
    open: Callable[[], BinaryIO]


@contextmanager
def pieces_of(source: Path | BinaryIO, contents: Contents) -> Iterator[list[Piece]]:
    """The files of a zip or folder, every name and kind and all sizes checked; nothing is read yet.

    Args:
        source: a zip's path or bytes; or a folder, where `contents` allows one.
        contents: what it may hold.
    Raises:
        CheckpointError: a name, a kind of file, a count or a size is refused, or it is no zip.
    """
    if contents.folders and isinstance(source, Path) and source.is_dir():
        yield _checked(_in_folder(source, contents), contents)
        return
    _check_packed_size(source, contents)
    try:
        archive = zipfile.ZipFile(source)
        pieces = _in_zip(archive, contents)
    except CheckpointError:
        raise
    except UNREADABLE as error:
        allowed = "a folder or a zip of one" if contents.folders else "a zip"
        why = f"needs to be {allowed}; this is neither, or damaged ({error})."
        raise contents.refusal(why) from None
    with archive:
        yield _checked(pieces, contents)


def write(pieces: Sequence[Piece], folder: Path, contents: Contents) -> None:
    """Write the pieces below a new folder.

    Args:
        pieces: from `pieces_of`.
        folder: the folder that gets them.
        contents: what the archive may hold.
    Raises:
        CheckpointError: one is damaged, a pickle or a zip, or they are more bytes than allowed.
    """
    left = contents.most_bytes
    for piece in pieces:
        target = inside(folder, piece.name)
        with _naming_damage(piece, contents):
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                left -= _copy(piece, file.write, left, contents)
        _refuse_programs(target, piece.name)


def read_json(piece: Piece, contents: Contents) -> dict[str, Any]:
    """The JSON object of one piece.

    Args:
        piece: from `pieces_of`.
        contents: what the archive may hold.
    Raises:
        CheckpointError: it is damaged, too large, or holds something else.
    """
    target = io.BytesIO()
    with _naming_damage(piece, contents):
        _copy(piece, target.write, contents.most_json, contents)
        value = json.loads(target.getvalue())
    if not isinstance(value, dict):
        raise contents.refusal(
            f"needs a JSON object in {quote(piece.name)}; it holds another kind."
        )
    return value


def refuse_changed(pieces: Sequence[Piece], listed: Any, contents: Contents) -> None:
    """Refuse files that are not the ones which a list of hashes was made of.

    Names and sizes are compared first: what is not in the list is never unpacked.

    Args:
        pieces: from `pieces_of`, without the file that holds the list.
        listed: `sha256` and `bytes` by name, as it was found.
        contents: what the archive may hold.
    Raises:
        CheckpointError: a file was changed, added or lost, or is damaged; the first is named.
    """
    try:
        sizes = {name: entry["bytes"] for name, entry in listed.items()}
        hashes = {name: str(entry["sha256"]) for name, entry in listed.items()}
    except UNREADABLE:
        raise contents.refusal("needs a list of its files; its form is another.") from None
    given = {piece.name: piece.size for piece in pieces}
    wrong = {name for name in {*given, *sizes} if given.get(name) != sizes.get(name)}
    left = contents.most_bytes
    for piece in () if wrong else pieces:
        digest = sha256()
        with _naming_damage(piece, contents):
            left -= _copy(piece, digest.update, left, contents)
        wrong |= {piece.name} if digest.hexdigest() != hashes[piece.name] else set()
    if wrong:
        raise contents.refusal(
            f"needs the files it was saved with; {len(wrong)} were changed, added or lost, "
            f"{quote(min(wrong))} among them."
        )


def quote(name: str) -> str:
    """A name as a sentence can hold it: short, every sign of it to be seen.

    Example:
        >>> quote("a" * 99)
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…'"
    """
    return ascii(name) if len(name) <= 60 else ascii(name[:60])[:-1] + "…'"


def _in_folder(folder: Path, contents: Contents) -> list[Piece]:
    pieces = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if _is_left_out(name, contents):
            continue
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            advice = "Copy what it leads to into the folder (cp -rL)."
            raise contents.refusal(_not_plain(name), advice)
        if path.is_file():
            size, opener = path.stat().st_size, lambda path=path: path.open("rb")
            pieces.append(Piece(name=name, size=size, open=opener))
        if len(pieces) > contents.most_files:  # enough to refuse it
            break
    return pieces


def _in_zip(archive: zipfile.ZipFile, contents: Contents) -> list[Piece]:
    pieces = []
    for info in archive.infolist():
        # `filename` ends at a zero byte and has other separators than were written.
        name, kind = info.orig_filename, stat.S_IFMT(info.external_attr >> 16)
        _check_name(name.rstrip("/"), contents)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise contents.refusal(_not_plain(name), DISTRUST)
        if info.flag_bits & 1:
            raise contents.refusal(f"needs a zip without a password; {quote(name)} has one.")
        if not info.is_dir():
            opener = lambda info=info: archive.open(info)  # noqa: E731
            pieces.append(Piece(name=name, size=info.file_size, open=opener))
        elif not contents.folders:
            raise contents.refusal(f"holds plain files; {quote(name)} is a folder.", DISTRUST)
    return pieces


def _checked(pieces: Sequence[Piece], contents: Contents) -> list[Piece]:
    """The pieces that belong to such an archive, if none of them and not their sum is refused."""
    if len(pieces) > contents.most_files:
        why = f"has at most {contents.most_files:,} files; this one has more."
        raise contents.refusal(why, contents.if_too_large)
    for piece in pieces:
        _check_name(piece.name, contents)
    kept = [piece for piece in pieces if not _is_left_out(piece.name, contents)]
    names = [piece.name.casefold() for piece in kept]
    if not any(f"/{piece.name}".endswith(f"/{contents.needed}") for piece in kept):
        raise contents.refusal(f"needs a {contents.needed}; there is none in this one.")
    for piece in kept:
        _check_kind(piece.name, contents)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise contents.refusal(f"needs each file once; {quote(twice)} is there twice.", DISTRUST)
    if sum(piece.size for piece in kept) > contents.most_bytes:
        raise _too_large(contents)
    for piece in kept:
        if piece.name.lower().endswith(".json") and piece.size > contents.most_json:
            raise _too_large(contents, piece)
    return kept


def _check_packed_size(source: Path | BinaryIO, contents: Contents) -> None:
    size = regular_file(source).stat().st_size if isinstance(source, Path) else source.seek(0, 2)
    if contents.most_packed is not None and size > contents.most_packed:
        most = contents.most_packed >> 20
        why = f"has at most {most:,} MiB as a zip; this one has {size >> 20:,} MiB."
        raise contents.refusal(why, contents.if_too_large)


def _check_name(name: str, contents: Contents) -> None:
    inside(contents.what, name)
    if len(name) > LONGEST_PATH or not all(sign.isprintable() for sign in name):
        raise contents.refusal(f"has short and printable names; {quote(name)} is none.", DISTRUST)


def _check_kind(name: str, contents: Contents) -> None:
    last = name.rpartition("/")[2].lower()
    suffix = Path(last).suffix
    if suffix in PICKLED:
        raise CheckpointError(
            f"{quote(name)} is a pickle: reading it could run any program it holds, so it is never "
            "opened. Take safetensors instead."
        )
    if suffix not in contents.suffixes and last not in contents.plain_names:
        why = f"is {contents.kinds}; {quote(name)} is none of these."
        raise contents.refusal(why, "Leave it out.")


@contextmanager
def _naming_damage(piece: Piece, contents: Contents) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"{quote(piece.name)} cannot be unpacked ({error}). {contents.advice}"
        ) from None


def _copy(piece: Piece, add: Callable[[bytes], Any], most: int, contents: Contents) -> int:
    """The bytes that were passed on: counted as they come, since the zip may say fewer."""
    if is_json := piece.name.lower().endswith(".json"):
        most = min(most, contents.most_json)
    copied = 0
    with piece.open() as source:
        while block := source.read(2**20):
            copied += len(block)
            if copied > most:
                raise _too_large(contents, piece if is_json else None)
            add(block)
    return copied


def _refuse_programs(path: Path, name: str) -> None:
    try:
        refuse_pickle(path)
    except CheckpointError:
        raise CheckpointError(
            f"{quote(name)} holds a pickle or another zip under a false name, so it is not opened. "
            f"{DISTRUST}"
        ) from None


def _is_left_out(name: str, contents: Contents) -> bool:
    return contents.left_out is not None and bool(contents.left_out.search(name))


def _not_plain(name: str) -> str:
    return f"holds plain files; {quote(name)} is a link, device or pipe."


def _too_large(contents: Contents, piece: Piece | None = None) -> CheckpointError:
    if piece is not None:
        why = f"has JSON of at most {contents.most_json >> 20} MiB; {quote(piece.name)} is larger."
    else:
        why = f"has at most {contents.most_bytes >> 20:,} MiB of files; this one has more."
    return contents.refusal(why, contents.if_too_large)
