"""A report as one ZIP: the page, pictures, tables, results, notebook, and a manifest of them all.

The same report gives the same bytes, but for what another Chromium draws otherwise.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from interp.core.errors import ConfigError
from interp.report.document import Document, versions
from interp.report.notebook import notebook
from interp.report.parts import FigurePart, Part, TablePart
from interp.report.pictures import picture
from interp.report.record import FORMAT, to_record

MANIFEST, ABOUT, RESULTS = "manifest.json", "report.json", "results"
EARLIEST = (1980, 1, 1, 0, 0, 0)
LONGEST_NAME = 48


def archive(report: Document, *, pictures: bool = True) -> bytes:
    """The bytes of the ZIP.

    Args:
        report: the report to be written.
        pictures: draw each figure as SVG and PNG too, if a Chromium is here.
    """
    files = {"report.html": report.html().encode(), "report.ipynb": notebook(report).encode()}
    files |= dict(_results(report)) | dict(_tables(report))
    files[ABOUT] = _json(_about(report))
    remark = "left out on request"
    if pictures:
        figures, remark = drawings(report)
        files |= figures
    sizes = {name: _described(content) for name, content in sorted(files.items())}
    manifest = {"format": FORMAT, "made with": versions(), "pictures": remark, "files": sizes}
    return _zipped({MANIFEST: _json(manifest), **dict(sorted(files.items()))})


def drawings(report: Document) -> tuple[dict[str, bytes], str]:
    """Every figure as SVG and PNG by name, and a sentence: that they are there, or why not."""
    files: dict[str, bytes] = {}
    try:
        for number, part in enumerate(report.figures, 1):
            for kind in ("svg", "png"):
                files[f"figures/{stem(number, part)}.{kind}"] = picture(part.figure, kind)
    except ConfigError as error:
        return {}, f"left out: {error}"
    return files, "drawn"


def stem(number: int, part: Part) -> str:
    """A file name of plain letters: the number and what the title has of them.

    Example:
        >>> from interp.report.parts import TextPart
        >>> stem(3, TextPart(title="Où? ../etc", text=""))
        '03-o-etc'
    """
    title = part.heading if isinstance(part, FigurePart) else part.title
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:LONGEST_NAME].strip("-")
    return f"{number:02d}-{words}" if words else f"{number:02d}"


def _tables(report: Document) -> Iterator[tuple[str, bytes]]:
    for number, part in enumerate(report.figures, 1):
        yield f"data/{stem(number, part)}.csv", _csv(part.result.frame())
    tables = [part for part in report.parts if isinstance(part, TablePart)]
    for number, part in enumerate(tables, 1):
        yield f"data/table-{stem(number, part)}.csv", _csv(part.frame)


def _results(report: Document) -> Iterator[tuple[str, bytes]]:
    with TemporaryDirectory(prefix="interp-report-") as name:
        for number, part in enumerate(report.figures, 1):
            folder = part.result.save(Path(name) / str(number))
            for file in sorted(folder.iterdir()):
                yield f"{RESULTS}/{number}/{file.name}", file.read_bytes()


def _about(report: Document) -> dict[str, Any]:
    places = {part.number: f"{RESULTS}/{n}" for n, part in enumerate(report.figures, 1)}
    return {
        "format": FORMAT,
        "title": report.title,
        "author": report.author,
        "date": report.date,
        "parts": [to_record(part, places.get(part.number, "")) for part in report.parts],
    }


def _csv(frame: Any) -> bytes:
    return frame.to_csv(index=False, lineterminator="\n").encode("utf-8", "backslashreplace")


def _json(value: Any) -> bytes:
    # Letters of other alphabets as escapes: so any text survives, also half of an emoji.
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def _described(content: bytes) -> dict[str, Any]:
    return {"sha256": sha256(content).hexdigest(), "bytes": len(content)}


def _zipped(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 3
            entry.external_attr = 0o100644 << 16
            packed.writestr(entry, content)
    return target.getvalue()
