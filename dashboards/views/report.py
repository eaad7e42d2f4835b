"""The report: its parts in order with your text; exported as page, PDF, ZIP and notebook."""

from functools import partial

import plotly.graph_objects as go
import streamlit as st
from plotly.basedatatypes import BaseTraceType

from dashboards.page import navigation, report_draft
from dashboards.page.dark_mode import is_dark, on_dark
from dashboards.page.downloads import download_button
from dashboards.page.error_message import guarded
from dashboards.page.header import no_model
from dashboards.page.markdown import plain
from dashboards.page.model_list import entries
from dashboards.page.report_sidebar import line
from dashboards.page.result_card import table
from interp.report import Report
from interp.report.chromium import find_chromium, no_chromium
from interp.report.parts import FigurePart, Part, TablePart, TextPart

TITLE, ICON, GROUP = "Report", ":material/description:", "Share"
FIRST_STEPS = ("logit_lens", "attention", "surprise")
MOST_SHOWN = 12
MEGABYTES = 50
THUMBNAIL_HEIGHT = 150
THUMBNAIL_MARGIN = {"l": 6, "r": 6, "t": 6, "b": 6}
MOST_KEPT = 64


def render() -> None:
    """Draw the page."""
    st.title(TITLE)
    st.markdown("The figures you added, in your order and with your comments, ready to share.")
    parts = report_draft.parts()
    if not parts:
        _empty()
        return
    _head()
    _exports(report_draft.report())
    for index, part in enumerate(parts):
        _part(part, index, len(parts))
    st.button("Add text", icon=":material/add:", on_click=report_draft.add_text)
    with st.expander("Reopen a saved report", icon=":material/folder_open:"):
        _reopen()


def _empty() -> None:
    if not entries():
        no_model()
    with st.container(border=True):
        st.markdown("**The report is empty.**")
        st.caption("Use *Add to report* below any figure. Some pages to begin with:")
        with st.container(horizontal=True):
            for stem in FIRST_STEPS:
                st.page_link(navigation.page(stem))
    with st.container(border=True):
        st.markdown("**Or reopen a report that you saved.**")
        _reopen()


def _head() -> None:
    heading, turn = report_draft.about(), st.session_state.get("report_turn", 0)
    columns = st.columns([2, 1])
    for column, name in zip(columns, ("title", "author"), strict=True):
        key = f"report_{name}_{turn}"
        column.text_input(
            name.capitalize(),
            heading[name],
            key=key,
            placeholder=report_draft.TITLE if name == "title" else "your name",
            on_change=_typed,
            args=(name, key),
        )


def _typed(name: str, key: str) -> None:
    report_draft.about()[name] = st.session_state[key]


def _exports(report: Report) -> None:
    printable = find_chromium() is not None
    kinds = (
        ("HTML", "report.html", report.html, True),
        ("PDF", "report.pdf", report.pdf, printable),
        ("ZIP", "report.zip", report.zip, True),
        ("Notebook", "report.ipynb", report.notebook, True),
    )
    with st.container(horizontal=True, vertical_alignment="center", key="report_exports"):
        for label, name, make, possible in kinds:
            download_button(label, name, make, key=f"export_{name}", disabled=not possible)
    st.caption(
        "The HTML page works offline. The ZIP holds everything (page, SVG, PNG, CSV, JSON, "
        "notebook) and can be reopened here. PDF and ZIP take a few seconds."
    )
    if not printable:
        st.info(plain(f"{no_chromium('A PDF')}. Until then the ZIP has no images."))


def _part(part: Part, index: int, count: int) -> None:
    with st.container(border=True, key=f"part_{part.number}"):
        small, words = st.columns([1, 2])
        with small:
            _preview(part, index)
        with words:
            _words(part)
            _buttons(part, index, count)


def _preview(part: Part, index: int) -> None:
    st.caption(plain(f"{index + 1}. {line(part)}"))
    if isinstance(part, FigurePart):
        if index < MOST_SHOWN or st.toggle("Show", key=f"show_{part.number}"):
            guarded(partial(_thumbnail, part))()
    elif isinstance(part, TablePart):
        table(part.frame.head(3), f"First rows of: {part.title}")


def _thumbnail(part: FigurePart) -> None:
    """Draw a figure as small as a stamp: its shapes and colours, no text and nothing to press.

    Raises:
        ConfigError: the figure cannot be drawn with its options.
    """
    title = part.title or part.result.provenance.instrument
    st.plotly_chart(
        _small_figure(part.number, is_dark(), part),
        theme=None,
        height=THUMBNAIL_HEIGHT,
        config={"staticPlot": True, "displayModeBar": False},
        key=f"thumbnail_{part.number}",
        alt=f"Thumbnail of: {title}. {part.result.finding()}",
    )


@st.cache_resource(max_entries=MOST_KEPT, show_spinner=False)
def _small_figure(number: int, dark: bool, _part: FigurePart) -> go.Figure:
    figure = go.Figure(_part.figure.to_plotly_json())
    bare = {"title": None, "showticklabels": False, "ticks": "", "automargin": False}
    figure.update_xaxes(**bare).update_yaxes(**bare)
    size = {"height": THUMBNAIL_HEIGHT, "width": None, "margin": THUMBNAIL_MARGIN}
    figure.update_layout(title_text="", showlegend=False, annotations=[], **size)
    figure.for_each_trace(_without_text)
    return on_dark(figure) if dark else figure


def _without_text(trace: BaseTraceType) -> None:
    """Text and scales would be too small to read."""
    properties = set(trace._valid_props)
    changes = {
        "showscale": {"showscale": False},
        "text": {"text": None},
        "texttemplate": {"texttemplate": None},
        "marker": {"marker_showscale": False} if trace.type in ("bar", "scatter") else {},
    }
    for name, change in changes.items():
        if name in properties:
            trace.update(change)
    if "mode" in properties and "text" in (trace.mode or ""):
        trace.mode = "markers"


def _words(part: Part) -> None:
    field = "text" if isinstance(part, TextPart) else "comment"
    _field(part, "title", "Title", "a heading")
    _field(part, field, field.capitalize(), "What should a reader see here?", tall=True)


def _field(part: Part, field: str, name: str, hint: str, tall: bool = False) -> None:
    key = f"{field}_{part.number}"
    box = partial(st.text_area, height=80) if tall else st.text_input
    change = {"on_change": _changed, "args": (part.number, field, key)}
    box(name, getattr(part, field), key=key, placeholder=hint, **change)


def _changed(number: int, field: str, key: str) -> None:
    report_draft.change(number, **{field: st.session_state[key]})


def _buttons(part: Part, index: int, count: int) -> None:
    actions = (
        ("Up", "arrow_upward", report_draft.move, (part.number, -1), index > 0),
        ("Down", "arrow_downward", report_draft.move, (part.number, 1), index < count - 1),
        ("Remove", "delete", report_draft.remove, (part.number,), True),
    )
    with st.container(horizontal=True):
        for name, icon, act, args, possible in actions:
            key, icon = f"{name.lower()}_{part.number}", f":material/{icon}:"
            change = {"on_click": act, "args": args, "disabled": not possible}
            st.button(name, key=key, icon=icon, type="tertiary", **change)


def _reopen() -> None:
    turn = st.session_state.get("report_turn", 0)
    file = st.file_uploader(
        f"ZIP of a report, at most {MEGABYTES} MB",
        type="zip",
        key=f"report_file_{turn}",
        max_upload_size=MEGABYTES,
    )
    if file is None:
        return
    if report_draft.parts():
        st.caption("It replaces the current report.")
        if not st.button("Replace the report", key="report_replace"):
            return
    with st.spinner("Opening the report …"):
        report_draft.replace_with(Report.load(file))
    st.session_state["report_turn"] = turn + 1
    st.rerun()
