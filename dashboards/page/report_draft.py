"""The report of this session: its parts in order, its title and author."""

from dataclasses import replace
from typing import Any

import streamlit as st

from interp.report import Report
from interp.report.parts import FigurePart, Part, TextPart

TITLE = "Findings"


def parts() -> list[Part]:
    """What was added to this session's report, in order."""
    return st.session_state.setdefault("report_parts", [])


def about() -> dict[str, str]:
    """Title, author and date, as they were typed."""
    return st.session_state.setdefault("report_about", {"title": TITLE, "author": "", "date": ""})


def report() -> Report:
    """The report as it is now; later changes do not affect it."""
    heading = about()
    return Report(
        heading["title"] or TITLE, heading["author"] or None, heading["date"] or None, parts()
    )


def holds(part: FigurePart) -> bool:
    """Whether the same figure is in the report, whatever it is called there."""
    figures = (figure for figure in parts() if isinstance(figure, FigurePart))
    return any(figure.options == part.options and _same(figure, part) for figure in figures)


def add(part: Part) -> None:
    """Put a part at the end."""
    parts().append(part)


def add_text() -> None:
    """Put an empty paragraph at the end."""
    add(TextPart(text=""))


def change(number: int, **words: Any) -> None:
    """Change the title, comment or text of a part."""
    parts()[:] = [replace(part, **words) if part.number == number else part for part in parts()]


def move(number: int, by: int) -> None:
    """Move a part down, or up where `by` is negative; it stops at the ends."""
    numbers = [part.number for part in parts()]
    if number in numbers:
        index = numbers.index(number)
        parts().insert(max(index + by, 0), parts().pop(index))


def remove(number: int) -> None:
    """Take a part out."""
    parts()[:] = [part for part in parts() if part.number != number]


def replace_with(opened: Report) -> None:
    """Replace this report by one that was saved."""
    parts()[:] = opened.parts
    heading = {"title": opened.title, "author": opened.author or "", "date": opened.date or ""}
    st.session_state["report_about"] = heading


def _same(other: FigurePart, part: FigurePart) -> bool:
    return other.result is part.result or other.result == part.result
