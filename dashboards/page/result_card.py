"""A result on the page: figure, words, and in one row the report, downloads, table and Python."""

import re
from collections.abc import Callable
from html import unescape
from threading import Lock
from typing import Any

import plotly.graph_objects as go
import streamlit as st
from cachetools import LRUCache, cached

from dashboards.page import report_draft
from dashboards.page.dark_mode import is_dark, on_dark
from dashboards.page.downloads import downloads
from dashboards.page.markdown import plain
from interp.plots.theme import CONFIG
from interp.report.parts import FigurePart
from interp.results.result import Result

MOST_ROWS = 1000
MOST_WORDS, MOST_MARKS = 12, 5
MOST_FIGURES = 24


def show(
    result: Result,
    title: str,
    *,
    key: str = "",
    picture: Callable[[], None] | None = None,
    seen: Callable[[], go.Figure] | None = None,
    **options: Any,
) -> None:
    """Draw a result with everything a reader needs to check it.

    Args:
        result: of an instrument.
        title: its heading, also in the report.
        key: tells two results of one page apart.
        picture: draws a component of the page's own instead of the figure, which then is only what
            the report and the downloads hold.
        seen: makes a figure of what that component shows, for the downloads.
        options: of its figure.
    Raises:
        ConfigError: the figure cannot be drawn with these options.
    """
    key = key or result.provenance.instrument
    finding = result.finding()
    _, figure = _figure(result, options)
    st.markdown(f"**{plain(finding)}**")
    if picture is None:
        draw(figure, f"{title}. {finding}", key)
    else:
        picture()
    st.caption(plain(re.sub(rf"{re.escape(finding)}[.,; ]*", "", result.caption())))
    with st.container(horizontal=True, vertical_alignment="center"):
        _adding(FigurePart(result=result, title=title, options=options), key)
        downloads(result, figure, title, key, seen)
        as_table = st.toggle("Table", key=f"table_{key}", persist_state="session")
        as_code = st.toggle("Copy as Python", key=f"code_{key}", persist_state="session")
    if as_table:
        table(result.frame(), f"Table: {title}")
    if as_code:
        st.code(result.code(), language="python")


# The result is kept with its figure, so that no other can get its number while that is remembered.
@cached(
    LRUCache(MOST_FIGURES), key=lambda result, options: (id(result), repr(options)), lock=Lock()
)
def _figure(result: Result, options: dict[str, Any]) -> tuple[Result, go.Figure]:
    """The result's figure, drawn once while a reader turns what it does not depend on."""
    return result, result.figure(**options)


def draw(figure: go.Figure, words: str, key: str) -> None:
    """A figure as it is in print, in the page's own light.

    Args:
        figure: of the house style.
        words: what it shows, for those who cannot see it.
        key: unique on the page; also the name of a picture that is saved.
    """
    picture = {"toImageButtonOptions": {"format": "svg", "filename": key}}
    figure, title = _untitled(figure)
    if title:
        st.caption(plain(title))
    with st.container(key=f"{'wide' if is_wide(figure) else 'narrow'}_{key}"):
        st.plotly_chart(
            on_dark(figure) if is_dark() else figure,
            theme=None,
            config={**CONFIG, **picture},
            key=f"figure_{key}",
            alt=words,
        )


def is_wide(figure: go.Figure) -> bool:
    """Whether it has too many panels or words for a phone, where it is scrolled sideways then."""
    spec = figure.to_plotly_json()
    axes = [spec["layout"][name] for name in spec["layout"] if name.startswith("xaxis")]
    beside = {tuple(axis.get("domain", ())) for axis in axes}
    labelled = [trace for trace in spec["data"] if trace["type"] in ("bar", "heatmap")]
    written = [trace for trace in spec["data"] if "text" in str(trace.get("mode", ""))]
    return (
        len(beside) > 1
        or sum(_count(trace.get("text")) for trace in labelled) > MOST_WORDS
        or sum(_count(trace.get("text")) for trace in written) > MOST_MARKS
    )


def _count(words: Any) -> int:
    """How many words are written, in a list or in rows of them."""
    if isinstance(words, str) or words is None:
        return 0
    return sum(bool(word) if isinstance(word, str) else _count(word) for word in words)


def _untitled(figure: go.Figure) -> tuple[go.Figure, str]:
    """The figure without its title, for which the page has room, and the title as plain text."""
    title = unescape(figure.layout.title.text or "")
    if not title:
        return figure, ""
    bare = go.Figure(figure).update_layout(title_text="")
    return bare.update_layout(margin_t=min(bare.layout.margin.t or 16, 24)), title


def table(frame: Any, words: str) -> None:
    """A table; of a long one the first rows, and how many there are."""
    st.dataframe(frame.head(MOST_ROWS), hide_index=True, alt=words)
    if len(frame) > MOST_ROWS:
        st.caption(f"The first {MOST_ROWS:,} of {len(frame):,} rows; the CSV holds all of them.")


def _adding(part: FigurePart, key: str) -> None:
    is_added = report_draft.holds(part)
    st.button(
        "In the report" if is_added else "Add to report",
        key=f"add_{key}",
        icon=":material/check:" if is_added else ":material/add:",
        disabled=is_added,
        on_click=report_draft.add,
        args=(part,),
    )
