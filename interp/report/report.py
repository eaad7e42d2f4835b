"""A report: results, text and tables in the order they were added, as one page that opens offline.

There is no clock in it: the same results give the same bytes.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from interp.core.errors import ConfigError, near_misses
from interp.core.files import write_bytes
from interp.report.archive import archive
from interp.report.document import Document
from interp.report.notebook import notebook
from interp.report.opening import opened
from interp.report.parts import FigurePart, Part, TablePart, TextPart
from interp.results.result import Result

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = {
    "": "save_html",
    ".html": "save_html",
    ".htm": "save_html",
    ".pdf": "save_pdf",
    ".zip": "save_zip",
    ".ipynb": "save_notebook",
}


class Report(Document):
    """A page of findings, each with caption, control, data, provenance and the Python that made it.

    Args:
        title: what the report is about.
        author: who answers for it.
        date: date in the words to print; none by default, so that equal results give equal bytes.
        parts: parts to begin with, in order.

    Example:
        >>> report = Report("What does it know of banks?", author="A. Reader")
        >>> page = report.add_text("Nothing has been asked yet.").html()
        >>> "Nothing has been asked yet." in page
        True
    """

    def add(
        self,
        result: Result,
        title: str | None = None,
        comment: str | None = None,
        **figure_options: Any,
    ) -> Self:
        """Add a result: its figure with everything a reader needs to check it.

        Args:
            result: any result.
            title: heading; the figure's own title or the instrument's name when None.
            comment: paragraphs before the figure (see `add_text`).
            figure_options: passed to `result.figure`.
        Raises:
            ConfigError: the figure cannot be drawn with these options.
        """
        part = FigurePart(
            result=result, title=title or "", comment=comment or "", options=figure_options
        )
        _ = part.figure  # drawn now, so that a wrong option is told where it was given
        return self._append(part)

    def add_text(self, text: str, title: str = "") -> Self:
        """Add paragraphs: an empty line parts them; `- ` begins a list item; **bold**, `code`."""
        return self._append(TextPart(text=text, title=title))

    def add_table(self, frame: "pd.DataFrame", title: str, comment: str | None = None) -> Self:
        """Add a table of its own; of a long one the first rows are shown, and the count.

        Args:
            frame: the table; its index is left out.
            title: heading.
            comment: paragraphs before the table (see `add_text`).
        """
        return self._append(TablePart(frame=frame, title=title, comment=comment or ""))

    def pdf(self) -> bytes:
        """The page on A4 sheets, as Chromium prints it.

        Raises:
            ConfigError: no Chromium is on this machine, or it did not print.
        """
        from interp.report.chromium import print_page

        return print_page(self.html())

    def notebook(self) -> str:
        """A notebook (nbformat 4) that makes each result again and draws it."""
        return notebook(self)

    def zip(self, pictures: bool = True) -> bytes:
        """Everything in one file, which `Report.load` opens again.

        Args:
            pictures: draw each figure as SVG and PNG too; where no Chromium is, they are left out
                and the manifest says so.
        """
        return archive(self, pictures=pictures)

    def save(self, path: str | Path) -> Path:
        """Write the report, whole or not at all; the suffix says what: html, pdf, zip or ipynb.

        Returns:
            The path.
        Raises:
            ConfigError: another suffix; or see `pdf`.
        """
        suffix = Path(path).suffix.lower()
        if suffix not in SUFFIXES:
            known = [name for name in SUFFIXES if name]
            raise ConfigError(
                f"A report is saved as {', '.join(known)}; got {suffix!r}."
                f"{near_misses(suffix, known)}"
            )
        return getattr(self, SUFFIXES[suffix])(path)

    def save_html(self, path: str | Path) -> Path:
        """Write the page."""
        return _written(path, self.html().encode())

    def save_pdf(self, path: str | Path) -> Path:
        """Write the page as PDF (see `pdf`)."""
        return _written(path, self.pdf())

    def save_zip(self, path: str | Path, pictures: bool = True) -> Path:
        """Write everything in one file (see `zip`)."""
        return _written(path, self.zip(pictures=pictures))

    def save_notebook(self, path: str | Path) -> Path:
        """Write the notebook (see `notebook`)."""
        return _written(path, self.notebook().encode())

    @classmethod
    def load(cls, source: str | Path | BinaryIO) -> Self:
        """The report that `save_zip` wrote; nothing is unpickled, and no file leaves the ZIP.

        Args:
            source: the ZIP's path, or the open file.
        Raises:
            CheckpointError: no such file, another kind, damaged, too large, or not to be trusted.
        """
        about, parts = opened(source)
        return cls(about["title"], about["author"], about["date"], parts)

    def _append(self, part: Part) -> Self:
        self.parts.append(part)
        return self


def _written(path: str | Path, content: bytes) -> Path:
    write_bytes(path, content)
    return Path(path)
