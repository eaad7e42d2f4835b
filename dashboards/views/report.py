"""The report: what was added, in order, with your words; out as page, PDF, ZIP and notebook."""

from functools import partial

import streamlit as st

from dashboards.page import navigation, report_draft
from dashboards.page.error_message import guarded
from dashboards.page.header import no_model
from dashboards.page.markdown import plain
from dashboards.page.model_list import entries
from dashboards.page.report_sidebar import line
from dashboards.page.result_card import table
from dashboards.page.thumbnail import miniature
from interp.report import Report
from interp.report.chromium import find_chromium, no_chromium
from interp.report.parts import FigurePart, Part, TablePart, TextPart

TITLE, ICON, GROUP = "Report", ":material/description:", "Tell"
FIRST_STEPS = ("logit_lens", "attention", "surprise")
MOST_SHOWN = 12
MEGABYTES = 50


def render() -> None:
    """Draw the page."""
    st.title(TITLE)
    st.markdown("What you added, in your order and with your words, ready to hand on.")
    kept = report_draft.parts()
    if not kept:
        _empty()
        return
    _head()
    _exports(report_draft.report())
    for place, part in enumerate(kept):
        _part(part, place, len(kept))
    st.button("Add words", icon=":material/add:", on_click=report_draft.add_words)
    with st.expander("Reopen a saved report", icon=":material/folder_open:"):
        _reopen()


def _empty() -> None:
    if not entries():
        no_model()
    with st.container(border=True):
        st.markdown("**Nothing is in the report yet.**")
        st.caption("*Add to report* stands below every figure. Some to begin with:")
        with st.container(horizontal=True):
            for stem in FIRST_STEPS:
                st.page_link(navigation.page(stem))
    with st.container(border=True):
        st.markdown("**Or go on with a report that you saved.**")
        _reopen()


def _head() -> None:
    told, turn = report_draft.about(), st.session_state.get("report_turn", 0)
    columns = st.columns([2, 1])
    for column, name in zip(columns, ("title", "author"), strict=True):
        key = f"report_{name}_{turn}"
        column.text_input(
            name.capitalize(),
            told[name],
            key=key,
            placeholder=report_draft.TITLE if name == "title" else "who answers for it",
            on_change=_typed,
            args=(name, key),
        )


def _typed(name: str, key: str) -> None:
    report_draft.about()[name] = st.session_state[key]


def _exports(made: Report) -> None:
    printable = find_chromium() is not None
    kinds = (
        ("HTML", "report.html", "text/html", made.html, True),
        ("PDF", "report.pdf", "application/pdf", made.pdf, printable),
        ("ZIP", "report.zip", "application/zip", made.zip, True),
        ("Notebook", "report.ipynb", "application/x-ipynb+json", made.notebook, True),
    )
    with st.container(horizontal=True, vertical_alignment="center", key="report_exports"):
        for name, file, mime, make, possible in kinds:
            st.download_button(
                name,
                data=make,
                file_name=file,
                mime=mime,
                key=f"export_{file}",
                icon=":material/download:",
                on_click="ignore",
                disabled=not possible,
            )
    st.caption(
        "HTML opens offline. The ZIP has everything (page, SVG, PNG, CSV, JSON, notebook) and can "
        "be opened here again. PDF and ZIP take some seconds."
    )
    if not printable:
        st.info(plain(f"{no_chromium('A PDF')}. The ZIP comes without pictures until then."))


def _part(part: Part, place: int, count: int) -> None:
    with st.container(border=True, key=f"part_{part.number}"):
        small, words = st.columns([1, 2])
        with small:
            _preview(part, place)
        with words:
            _words(part)
            _buttons(part, place, count)


def _preview(part: Part, place: int) -> None:
    st.caption(plain(f"{place + 1}. {line(part)}"))
    if isinstance(part, FigurePart):
        if place < MOST_SHOWN or st.toggle("Show", key=f"show_{part.number}"):
            guarded(partial(miniature, part))()
    elif isinstance(part, TablePart):
        table(part.frame.head(3), f"The first rows of: {part.title}")


def _words(part: Part) -> None:
    field = "text" if isinstance(part, TextPart) else "comment"
    _box(part, "title", "Title", "a heading")
    _box(part, field, field.capitalize(), "What should a reader see here?", tall=True)


def _box(part: Part, field: str, name: str, hint: str, tall: bool = False) -> None:
    key = f"{field}_{part.number}"
    box = st.text_area if tall else st.text_input
    box(
        name,
        getattr(part, field),
        key=key,
        placeholder=hint,
        on_change=_changed,
        args=(part.number, field, key),
        **({"height": 80} if tall else {}),
    )


def _changed(number: int, field: str, key: str) -> None:
    report_draft.change(number, **{field: st.session_state[key]})


def _buttons(part: Part, place: int, count: int) -> None:
    actions = (
        ("Up", "arrow_upward", report_draft.move, (part.number, -1), place > 0),
        ("Down", "arrow_downward", report_draft.move, (part.number, 1), place < count - 1),
        ("Remove", "delete", report_draft.remove, (part.number,), True),
    )
    with st.container(horizontal=True):
        for name, icon, act, args, possible in actions:
            st.button(
                name,
                key=f"{name.lower()}_{part.number}",
                icon=f":material/{icon}:",
                type="tertiary",
                disabled=not possible,
                on_click=act,
                args=args,
            )


def _reopen() -> None:
    turn = st.session_state.get("report_turn", 0)
    file = st.file_uploader(
        f"The ZIP of a report, at most {MEGABYTES} MB",
        type="zip",
        key=f"report_file_{turn}",
        max_upload_size=MEGABYTES,
    )
    if file is None:
        return
    if report_draft.parts():
        st.caption("It takes the place of what is in the report now.")
        if not st.button("Open it instead", key="report_replace"):
            return
    with st.spinner("Opening the report …"):
        report_draft.take(Report.load(file))
    st.session_state["report_turn"] = turn + 1
    st.rerun()
