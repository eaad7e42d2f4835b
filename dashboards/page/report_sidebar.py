"""The report in the sidebar: how long it is, what is in it, its page, and a quick copy."""

from collections.abc import Sequence

import streamlit as st

from dashboards.page import navigation, report_draft
from dashboards.page.downloads import download_button
from dashboards.page.markdown import plain
from interp.report.parts import FigurePart, Part

MOST_LINES = 8
LONGEST_LINE = 60


def report_summary() -> None:
    """The parts of the report in short, and a link to the page that edits and exports it."""
    parts = report_draft.parts()
    label, icon = f"Report ({len(parts)})", ":material/description:"
    with st.sidebar.expander(label, key="report_summary", icon=icon):
        if parts:
            _list(parts)
        else:
            st.caption("Empty. Use *Add to report* below any figure.")
        st.page_link(navigation.page("report"), label="Edit and export", width="stretch")
        if parts:
            html = report_draft.report().html
            download_button("report.html", "report.html", html, width="stretch")


def line(part: Part) -> str:
    """A part in a few words: its title, and the model a figure is of."""
    title = " ".join(part.title.split()) or "Text"
    if not isinstance(part, FigurePart):
        return title
    provenance = part.result.provenance
    step = "" if provenance.step is None else f", step {provenance.step}"
    name = title if part.title.strip() else provenance.instrument
    return f"{name} ({provenance.model}{step})"


def _list(parts: Sequence[Part]) -> None:
    lines = [f"{number}. {line(part)}" for number, part in enumerate(parts, 1)]
    lines = [text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}…" for text in lines]
    more = len(lines) - MOST_LINES
    if more > 0:
        lines[MOST_LINES:] = [f"… and {more} more"]
    st.caption("  \n".join(map(plain, lines)))
