"""The report that is put together in this session: its parts in order, its title and author."""

from dataclasses import replace
from typing import Any

import streamlit as st

from interp.report import Report
from interp.report.parts import FigurePart, Part, TextPart

TITLE = "What was seen"


def parts() -> list[Part]:
    """What was added to this session's report, in order."""
    return st.session_state.setdefault("exhibits", [])


def about() -> dict[str, str]:
    """Title, author and date, as they were typed."""
    return st.session_state.setdefault("report_about", {"title": TITLE, "author": "", "date": ""})


def report() -> Report:
    """All of it as it is now; what is changed later does not change it."""
    told = about()
    return Report(told["title"] or TITLE, told["author"] or None, told["date"] or None, parts())


def holds(part: FigurePart) -> bool:
    """Whether the same figure is in the report, whatever it is called there."""
    kept = (each for each in parts() if isinstance(each, FigurePart))
    return any(each.options == part.options and _same(each, part) for each in kept)


def add(part: Part) -> None:
    """Put a part at the end."""
    parts().append(part)


def add_words() -> None:
    """Put an empty paragraph at the end."""
    add(TextPart(text=""))


def change(number: int, **words: Any) -> None:
    """Change the title, comment or text of a part."""
    place = _place(number)
    if place is not None:
        parts()[place] = replace(parts()[place], **words)


def move(number: int, by: int) -> None:
    """Move a part down, or up where `by` is negative; it stops at the ends."""
    place = _place(number)
    if place is not None:
        part = parts().pop(place)
        parts().insert(max(place + by, 0), part)


def remove(number: int) -> None:
    """Take a part out."""
    place = _place(number)
    if place is not None:
        parts().pop(place)


def take(opened: Report) -> None:
    """Let a report that was saved take the place of this one."""
    parts()[:] = opened.parts
    told = {"title": opened.title, "author": opened.author or "", "date": opened.date or ""}
    st.session_state["report_about"] = told


def _place(number: int) -> int | None:
    return next((place for place, part in enumerate(parts()) if part.number == number), None)


def _same(kept: FigurePart, part: FigurePart) -> bool:
    return kept.result is part.result or kept.result == part.result
