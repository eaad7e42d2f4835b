"""A report: results, text and tables in the order they were added, as one page that opens offline.

There is no clock in it: the same results give the same bytes.
"""

import re
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from interp.files import write_text
from interp.report import page
from interp.report.figures import compact
from interp.report.prose import paragraphs
from interp.report.tables import Table, table
from interp.results import Provenance, Result

if TYPE_CHECKING:
    import pandas as pd

ROWS_SHOWN = 40


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One section as the page's template reads it; empty fields are left out of the page."""

    title: str
    number: int | None = None
    text: str = ""
    finding: str = ""
    caption: str = ""
    figure: dict[str, Any] | None = None
    table: Table | None = None
    open_table: bool = False
    code: str = ""
    provenance: dict[str, str] = field(default_factory=dict)
    line: str = ""


class Report:
    """A page of findings, each with caption, control, data, provenance and the Python that made it.

    Args:
        title: what the report is about.
        author: who answers for it.
        date: as it should be printed; none by default, so that equal results give equal bytes.

    Example:
        >>> report = Report("What does it know of banks?", author="A. Reader")
        >>> page = report.add_text("Nothing has been asked yet.").html()
        >>> "Nothing has been asked yet." in page
        True
    """

    def __init__(self, title: str, author: str | None = None, date: str | None = None) -> None:
        self.title, self.author, self.date = title, author, date
        self._parts: list[_Part] = []
        self._models: dict[str, None] = {}

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
        """
        told = result.provenance
        figure, own_title = compact(result.figure(**figure_options))
        name = told.instrument.replace("_", " ").capitalize()
        self._models[_model_line(told)] = None
        return self._append(
            title=title or own_title or name,
            number=1 + sum(part.number is not None for part in self._parts),
            text=paragraphs(comment or ""),
            finding=str(result),
            caption=_without(result.caption(), str(result)),
            figure=figure,
            table=table(result.frame(), ROWS_SHOWN),
            code=result.code(),
            provenance=_provenance_rows(told),
            line=_model_line(told),
        )

    def add_text(self, text: str, title: str = "") -> Self:
        """Add paragraphs: an empty line parts them; `- ` begins a list item; **bold**, `code`."""
        return self._append(title=title, text=paragraphs(text))

    def add_table(self, frame: "pd.DataFrame", title: str, comment: str | None = None) -> Self:
        """Add a table of its own; of a long one the first rows are shown, and the count."""
        shown = table(frame, 5 * ROWS_SHOWN)
        return self._append(
            title=title, text=paragraphs(comment or ""), table=shown, open_table=True
        )

    def html(self) -> str:
        """The whole page; nothing in it asks anything of any host."""
        text = page.render(
            title=self.title,
            author=self.author,
            date=self.date,
            models=list(self._models),
            parts=self._parts,
            versions=_versions(),
        )
        return text.encode("utf-8", "backslashreplace").decode("utf-8")

    def save(self, path: str | Path) -> Path:
        """Write the page, whole or not at all.

        Returns:
            The path.
        """
        write_text(path, self.html())
        return Path(path)

    def _append(self, **part: Any) -> Self:
        self._parts.append(_Part(**part))
        return self


def _without(caption: str, finding: str) -> str:
    """The caption without the sentence of the finding, which stands above the figure already."""
    sentence = rf"(^|(?<=[.] )){re.escape(finding.rstrip('.'))}[.](\s+|$)"
    return re.sub(sentence, "", caption) or caption


def _model_line(told: Provenance) -> str:
    step = "" if told.step is None else f" · step {told.step:,}"
    return f"{told.model}{step} · weights {told.model_hash}"


def _provenance_rows(told: Provenance) -> dict[str, str]:
    """What is known of where a result came from, in words; what does not apply is left out."""
    seen = {
        "instrument": told.instrument,
        "model": told.model,
        "loaded from": told.source,
        "weights": told.model_hash,
        "step": told.step,
        "world": told.world,
        "prompt": told.prompt,
        "hook points": ", ".join(told.hooks),
        "edits": told.edits,
        "seed": told.seed,
        "precision": told.dtype,
        "device": told.device,
        "interp": told.code_version,
    }
    return {name: str(value) for name, value in seen.items() if value not in (None, "", ())}


def _versions() -> str:
    from interp import __version__

    others = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "plotly"))
    return f"interp {__version__}, {others}"
