"""The report in the sidebar: how long it is, what is in it, its page, and a quick copy."""

from collections.abc import Sequence

import streamlit as st

from dashboards.page import navigation, report_draft
from dashboards.page.markdown import plain
from interp.report import Report
from interp.report.parts import FigurePart, Part

MOST_LINES = 8
LONGEST_LINE = 60


def report_summary() -> None:
    """What was added so far, in short; the page of the report changes and exports it."""
    kept = report_draft.parts()
    told, icon = f"Report ({len(kept)})", ":material/description:"
    with st.sidebar.expander(told, key="report_shelf", icon=icon):
        if kept:
            _list(kept)
        else:
            st.caption("Empty. *Add to report* stands below every figure.")
        st.page_link(navigation.page("report"), label="Edit and export", width="stretch")
        if kept:
            st.download_button(
                "report.html",
                data=report_draft.report().html,
                file_name="report.html",
                mime="text/html",
                on_click="ignore",
                icon=":material/download:",
                width="stretch",
            )


def written(title: str, shown: Sequence[Part]) -> str:
    """The page with every part; it opens offline."""
    return Report(title, parts=shown).html()


def line(part: Part) -> str:
    """A part in a few words: its title, and the model a figure is of."""
    title = " ".join(part.title.split()) or "Words"
    if not isinstance(part, FigurePart):
        return title
    told = part.result.provenance
    step = "" if told.step is None else f", step {told.step}"
    name = title if part.title.strip() else told.instrument
    return f"{name} ({told.model}{step})"


def _list(kept: Sequence[Part]) -> None:
    lines = [f"{number}. {line(part)}" for number, part in enumerate(kept, 1)]
    shown = [each if len(each) <= LONGEST_LINE else f"{each[:LONGEST_LINE]}…" for each in lines]
    more = len(shown) - MOST_LINES
    if more > 0:
        shown[MOST_LINES:] = [f"… and {more} more"]
    st.caption("  \n".join(map(plain, shown)))
