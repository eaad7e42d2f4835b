"""The report that grows in the sidebar, and goes home as one HTML file."""

from collections.abc import Sequence

import streamlit as st

from interp.dashboards.plain import plain
from interp.dashboards.session import Exhibit, exhibits
from interp.report import Report

TITLE = "What was seen"


def report_shelf() -> None:
    """What was added so far; each can be taken out again, all can be downloaded."""
    kept = exhibits()
    told, icon = f"Report ({len(kept)})", ":material/description:"
    with st.sidebar.expander(told, key="report_shelf", icon=icon):
        if not kept:
            st.caption("Empty. *Add to report* stands below every figure.")
            return
        for number, exhibit in enumerate(kept):
            _line(number, exhibit)
        title = st.text_input("Title", TITLE, key="report_title", persist_state="session")
        shown = tuple(kept)
        st.download_button(
            "report.html",
            data=lambda: written(title, shown),
            file_name="report.html",
            mime="text/html",
            on_click="ignore",
            icon=":material/download:",
            width="stretch",
        )


def written(title: str, shown: Sequence[Exhibit]) -> str:
    """The page with every exhibit; it opens offline."""
    report = Report(title)
    for exhibit in shown:
        report.add(exhibit.result, title=exhibit.title, **exhibit.options)
    return report.html()


def _line(number: int, exhibit: Exhibit) -> None:
    told = exhibit.result.provenance
    step = "" if told.step is None else f", step {told.step}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(plain(f"{number + 1}. {exhibit.title} ({told.model}{step})"), width="stretch")
        st.button(
            "Take out",
            key=f"take_out_{number}",
            icon=":material/close:",
            type="tertiary",
            on_click=exhibits().pop,
            args=(number,),
        )
