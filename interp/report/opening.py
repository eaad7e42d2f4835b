"""A saved report is opened with care: the ZIP may come from anyone.

Names and sizes are checked before anything is read, hashes before anything is used; only the
results are written down, in a folder that is gone afterwards.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from interp.core.errors import CheckpointError
from interp.core.files import inside
from interp.core.untrusted_archive import (
    UNREADABLE,
    Contents,
    Piece,
    pieces_of,
    read_json,
    refuse_changed,
    write,
)
from interp.report.archive import ABOUT, MANIFEST, RESULTS
from interp.report.notebook import figure_call
from interp.report.parts import FigurePart, Part
from interp.report.record import FORMAT, from_record, text_entry
from interp.report.script import is_plain
from interp.results.result import load_result

CONTENTS = Contents(
    what="a saved report",
    needed=MANIFEST,
    suffixes=frozenset({".html", ".ipynb", ".json", ".csv", ".svg", ".png", ".safetensors"}),
    kinds="HTML, a notebook, JSON, CSV, pictures and safetensors",
    most_files=2_000,
    most_bytes=400 * 2**20,
    most_packed=100 * 2**20,
    advice="Choose the ZIP that the report's page or interp report wrote.",
    if_too_large="It is not opened.",
)


def opened(source: str | Path | BinaryIO) -> tuple[dict[str, Any], list[Part]]:
    """What a saved report says of itself, and its parts.

    Args:
        source: path of the ZIP, or the open file.
    Returns:
        Title, author and date by name; and the parts in their order.
    Raises:
        CheckpointError: no such file, another kind, damaged, too large, or not to be trusted.
    """
    archive = Path(source) if isinstance(source, str) else source
    with pieces_of(archive, CONTENTS) as pieces:
        by_name = {piece.name: piece for piece in pieces}
        try:
            _check_manifest(by_name)
            about = _object(by_name, ABOUT)
            head = {name: text_entry(about, name, (str, type(None))) for name in ("author", "date")}
            head["title"] = text_entry(about, "title")
            return head, _parts(about["parts"], pieces)
        except CheckpointError:
            raise
        except UNREADABLE as error:
            raise CheckpointError(
                f"The ZIP must be of a report; it is of another form ({error}). {CONTENTS.advice}"
            ) from error


def _check_manifest(pieces: Mapping[str, Piece]) -> None:
    """Refuse another format, and files that are not as the manifest says."""
    manifest = _object(pieces, MANIFEST)
    if manifest.get("format") != FORMAT:
        raise CheckpointError(
            f"The ZIP must be a report of the format {FORMAT!r}; it is of "
            f"{str(manifest.get('format'))[:80]!r}. Open it with the version that wrote it."
        )
    others = [piece for name, piece in pieces.items() if name != MANIFEST]
    refuse_changed(others, manifest.get("files"), CONTENTS)


def _object(pieces: Mapping[str, Piece], name: str) -> dict[str, Any]:
    if name not in pieces:
        raise CheckpointError(
            f"A saved report needs a {name}; this ZIP has none there. {CONTENTS.advice}"
        )
    return read_json(pieces[name], CONTENTS)


def _parts(records: list[Any], pieces: Sequence[Piece]) -> list[Part]:
    results = [piece for piece in pieces if piece.name.startswith(f"{RESULTS}/")]
    with TemporaryDirectory(prefix="interp-report-") as temporary:
        folder = Path(temporary)
        write(results, folder, CONTENTS)
        try:
            parts = [
                from_record(record, lambda name: load_result(inside(folder, name)))
                for record in records
            ]
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
    except (*UNREADABLE, ImportError) as error:
        raise CheckpointError(
            f"A figure of {name} in the report cannot be drawn ({error}). It was damaged, or "
            "written by another version of interp; make it again."
        ) from error
    if not is_plain(code):
        raise CheckpointError(
            f"The Python of a figure of {name} in the report does more than make it again. Do not "
            "trust the ZIP."
        )
