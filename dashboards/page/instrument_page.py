"""The page of an instrument that has none of its own: a form from its signature, and its result."""

import inspect
import re
from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboards.page import header, result_card, run_button
from dashboards.page.markdown import plain
from dashboards.page.model_list import Entry
from dashboards.pickers.sampling import load_code
from dashboards.pickers.signature_form import (
    OpenedModel,
    SignatureForm,
    grid,
    signature_form,
    title_of,
)
from interp.core.protocols import LanguageModel
from interp.results.registry import Instrument
from interp.results.signature import (
    Parameter,
    docstring_sections,
    example_code,
    signature_parameters,
)

ICON = ":material/science:"
DRAWN_BY = ("choice", "flag")
"""Kinds of a figure's options that can be offered before anybody knows what the result holds."""


def render(instrument: Instrument) -> None:
    """Draw the page.

    Raises:
        InterpError: what was chosen cannot be measured, or not drawn.
    """
    title = title_of(instrument.name)
    model, entry = header.begin(title, plain(instrument.summary))
    parameters = signature_parameters(instrument.function)[1:]
    if not instrument.accepts(model):
        needed = instrument.takes.__name__
        st.info(plain(f"{title} needs a {needed}; {entry.name} is none."), icon=":material/info:")
    elif _needs_world(parameters) and header.world_of(entry) is None:
        header.no_world()
    else:
        _measure(instrument, model, entry, parameters)
    _method(instrument)


def _needs_world(parameters: Sequence[Parameter]) -> bool:
    return any(p.is_required and p.kind and p.kind.name == "world" for p in parameters)


def _measure(
    instrument: Instrument, model: LanguageModel, entry: Entry, parameters: Sequence[Parameter]
) -> None:
    """The form, the button, and the result once it was asked for or is known."""
    form = signature_form(instrument.name, parameters, model, entry)
    needed = [p.name for p in form.in_python_only if p.is_required]
    if needed:
        _in_python(instrument, model, needed)
        return
    pressed = st.button("Run", key="run", type="primary", disabled=bool(form.missing))
    _say_what_is_left(form)
    if form.missing:
        return
    note = "Nothing is measured yet with these settings."
    result = run_button.on_request(instrument.name, model, pressed, note, **form.arguments)
    if result is None:
        return
    options = _figure_options(instrument, OpenedModel(model=model, entry=entry))
    result_card.show(result, title_of(instrument.name), **options)


def _say_what_is_left(form: SignatureForm) -> None:
    """What is to be filled in before it can run, and what only Python can give."""
    if form.missing:
        st.caption(plain(f"Needs {', '.join(map(title_of, form.missing)).lower()}."))
    if form.in_python_only:
        names = ", ".join(f"`{each.name}`" for each in form.in_python_only)
        st.caption(f"At their defaults, and given in Python only: {names}.")


def _in_python(instrument: Instrument, model: LanguageModel, needed: Sequence[str]) -> None:
    """The page cannot run it: the Python that does."""
    names = ", ".join(f"`{name}`" for name in needed)
    st.info(
        f"{title_of(instrument.name)} needs {names}, which no page can give. In Python:",
        icon=":material/info:",
    )
    arguments = ", ".join(f"{name}=..." for name in needed)
    call = f"interp.{instrument.name}(model, {arguments})"
    code = example_code(instrument.function.__doc__ or "") or call
    st.code(f"{load_code(model)}\n{code}", language="python")


def _figure_options(instrument: Instrument, opened: OpenedModel) -> dict[str, Any]:
    """What the figure lets a reader choose."""
    options = [
        p for p in signature_parameters(instrument.plot)[1:] if p.kind and p.kind.name in DRAWN_BY
    ]
    return grid(f"{instrument.name}_figure", options, opened)


def _method(instrument: Instrument) -> None:
    """What its file says of control, units and how to read it, and whose method it is."""
    paragraphs = (inspect.getdoc(inspect.getmodule(instrument.function)) or "").split("\n\n")
    with st.expander("Method and source", icon=":material/menu_book:"):
        for paragraph in paragraphs[1:]:
            if paragraph.startswith("    "):
                st.code(inspect.cleandoc(paragraph), language="bash")
            else:
                st.markdown(re.sub(r"^(Control|Units)\b", r"**\1**", paragraph))
        sections = docstring_sections(instrument.function.__doc__ or "")
        if source := sections.get("Source"):
            st.markdown(f"**Source**: {plain(' '.join(source.split()))}")
