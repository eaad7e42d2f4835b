"""A saved report is opened with care: the ZIP may come from anyone.

Names are checked before anything is read, sizes before anything is unpacked, hashes before
anything is used; only the results are written down, in a folder that is gone afterwards.
"""

import json
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from interp.core.errors import CheckpointError
from interp.core.files import inside, regular_file
from interp.report.archive import ABOUT, MANIFEST, RESULTS
from interp.report.notebook import figure_call
from interp.report.parts import FigurePart, Part
from interp.report.record import FORMAT, from_record, text_of
from interp.report.script import is_plain
from interp.results.result import load_result

MOST_FILES = 2_000
MOST_PACKED = 100 * 2**20
MOST_BYTES = 400 * 2**20
DAMAGED = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError,
    UnicodeError, OverflowError, OSError, KeyError, TypeError, AttributeError, RecursionError,
)  # fmt: skip
UNDRAWABLE = (
    TypeError, ValueError, LookupError, AttributeError, RuntimeError, ArithmeticError, ImportError,
)  # fmt: skip


def opened(source: str | Path | BinaryIO) -> tuple[dict[str, Any], list[Part]]:
    """What a saved report says of itself, and its parts.

    Args:
        source: path of the ZIP, or the open file.
    Raises:
        CheckpointError: no such file, another kind, damaged, too large, or not to be trusted.
    """
    with _zip(source) as packed:
        files = _checked(packed, _entries(packed))
        about = _object(files, ABOUT)
        head = {name: text_of(about, name, (str, type(None))) for name in ("author", "date")}
        head["title"] = text_of(about, "title")
        return head, _parts(about["parts"], files)


@contextmanager
def _zip(source: str | Path | BinaryIO) -> Iterator[zipfile.ZipFile]:
    name = source if isinstance(source, (str, Path)) else getattr(source, "name", "The file")
    if isinstance(source, (str, Path)):
        size = regular_file(source).stat().st_size
    else:
        size = source.seek(0, 2)
    if size > MOST_PACKED:
        raise CheckpointError(
            f"A saved report has at most {MOST_PACKED >> 20} MiB; {name} has {size >> 20} MiB. "
            "It is not opened."
        )
    try:
        with zipfile.ZipFile(source) as packed:
            yield packed
    except CheckpointError:
        raise
    except DAMAGED as error:
        raise CheckpointError(
            f"{name} must be the ZIP of a report; it cannot be read ({error}). Save the report as "
            ".zip again, and open that."
        ) from error


def _entries(packed: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files of the ZIP, if none is a trick."""
    entries = packed.infolist()
    names = [entry.filename for entry in entries]
    for entry in entries:
        inside("the ZIP", entry.filename)
        if not _is_plain(entry):
            raise CheckpointError(
                f"A saved report holds plain files; {entry.filename!r} is a link, a folder or "
                "locked. Do not trust the ZIP."
            )
    unpacked = sum(entry.file_size for entry in entries)
    if len(set(names)) < len(names) or len(names) > MOST_FILES or unpacked > MOST_BYTES:
        raise CheckpointError(
            f"A saved report has at most {MOST_FILES:,} files, each once, of "
            f"{MOST_BYTES >> 20} MiB; this ZIP has {len(names):,} of {unpacked >> 20:,} MiB. It is "
            "not opened."
        )
    return entries


def _is_plain(entry: zipfile.ZipInfo) -> bool:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    return kind in (0, stat.S_IFREG) and not entry.is_dir() and not entry.flag_bits & 1


def _checked(packed: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> dict[str, bytes]:
    """What is needed of the ZIP, each file as its manifest says."""
    files = {entry.filename: packed.read(entry) for entry in entries}
    manifest = _object(files, MANIFEST)
    told = manifest["files"]
    if manifest.get("format") != FORMAT:
        raise CheckpointError(
            f"The ZIP must be a report of the format {FORMAT!r}; it is of "
            f"{str(manifest.get('format'))[:80]!r}. Open it with the version that wrote it."
        )
    wrong = set(told) ^ (set(files) - {MANIFEST})
    wrong |= {name for name in set(told) & set(files) if not _same(told[name], files[name])}
    if wrong:
        raise CheckpointError(
            f"{len(wrong)} files of the report were changed, added or lost after it was saved, "
            f"{sorted(wrong)[0]!r} among them. Save the report again."
        )
    return files


def _same(told: Mapping[str, Any], content: bytes) -> bool:
    return told["sha256"] == sha256(content).hexdigest() and told["bytes"] == len(content)


def _object(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    if name not in files:
        raise CheckpointError(
            f"A saved report has a {name}; this ZIP has none. Choose the ZIP that the report's "
            "page or interp report wrote."
        )
    value = json.loads(files[name])
    if not isinstance(value, dict):
        raise CheckpointError(f"{name} must hold a JSON object; save the report again.")
    return value


def _parts(told: list[Any], files: Mapping[str, bytes]) -> list[Part]:
    with TemporaryDirectory(prefix="interp-report-") as name:
        folder = Path(name)
        for file, content in files.items():
            if file.startswith(f"{RESULTS}/"):
                place = inside(folder, file)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
        try:
            parts = [from_record(each, lambda at: load_result(inside(folder, at))) for each in told]
        except CheckpointError as error:
            raise CheckpointError(str(error).replace(f"{folder}/", "")) from error
    for part in parts:
        if isinstance(part, FigurePart):
            _try_out(part)
    return parts


def _try_out(part: FigurePart) -> None:
    """Draw the figure, and look at the Python that a reader may run."""
    name = part.result.provenance.instrument
    try:
        code = f"{part.result.code()}\n{figure_call(part)}"
        _ = part.figure, part.result.frame(), part.result.caption()
    except UNDRAWABLE as error:
        raise CheckpointError(
            f"A figure of {name} in the report cannot be drawn ({error}). It was damaged, or "
            "written by another version of interp; make it again."
        ) from error
    if not is_plain(code):
        raise CheckpointError(
            f"The Python of a figure of {name} in the report does more than make it again. Do not "
            "trust the ZIP."
        )
