"""What a report says, in order, and the page that shows it.

There is no clock in it: the same results give the same bytes.
"""

from collections.abc import Iterable
from importlib import metadata

from interp import __version__
from interp.report import page
from interp.report.parts import FigurePart, Part
from interp.report.section import model_line, sections


class Document:
    """Title, author, date and parts; see `Report`, which adds to it and saves it.

    Args:
        title: what the report is about.
        author: who answers for it.
        date: date in the words to print; none by default, so that equal results give equal bytes.
        parts: parts to begin with, in order.
    """

    def __init__(
        self,
        title: str,
        author: str | None = None,
        date: str | None = None,
        parts: Iterable[Part] = (),
    ) -> None:
        self.title, self.author, self.date = title, author, date
        self.parts: list[Part] = list(parts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Document):
            return NotImplemented
        return vars(self) == vars(other)

    __hash__ = None

    @property
    def figures(self) -> list[FigurePart]:
        """The parts that are figures, in order: Figure 1 is the first."""
        return [part for part in self.parts if isinstance(part, FigurePart)]

    def html(self) -> str:
        """The whole page; nothing in it asks anything of any host."""
        models = [model_line(part.result.provenance) for part in self.figures]
        text = page.render(
            title=self.title,
            author=self.author,
            date=self.date,
            models=list(dict.fromkeys(models)),
            parts=sections(self.parts),
            versions=versions(),
        )
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


def versions() -> str:
    """What made the report."""
    others = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "plotly"))
    return f"interp {__version__}, {others}"
