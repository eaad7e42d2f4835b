"""Slow measurements wait for a button; meanwhile the page answers at once."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboards.page import measurements
from dashboards.page.markdown import plain
from interp.core.protocols import LanguageModel
from interp.results.provenance import record
from interp.results.result import Result

LONGEST_VALUE = 40
Settings = Mapping[str, Any]


def is_requested(name: str, pressed: bool, settings: object) -> bool:
    """Whether a measurement was requested with these settings; other settings ask again.

    Args:
        name: of the measurement.
        pressed: whether its button was pressed just now.
        settings: that it would be run with.
    """
    if pressed:
        st.session_state[f"requested_{name}"] = settings
    return st.session_state.get(f"requested_{name}") == settings


def on_request(
    instrument: str, model: LanguageModel, pressed: bool, note: str = "", /, **arguments: Any
) -> Result | None:
    """A result that is at hand, or that was requested with these arguments; else a note and None.

    Args:
        instrument: its name.
        model: that it measures.
        pressed: whether the button of the measurement was pressed just now.
        note: what the page says until then.
        arguments: of the instrument.
    """
    settings = [model.hash, record(arguments)]
    requested = is_requested(instrument, pressed, settings)
    if requested or measurements.knows(instrument, model, **arguments):
        return measurements.measured(instrument, model, **arguments)
    if note:
        st.caption(note)
    return None


def applied_settings(
    name: str, weights: str, settings: Settings, *, is_known: bool = False
) -> Settings:
    """The settings that the page measures with: the current ones, or still the previous ones.

    The first settings of a model are measured at once. When they change, the earlier result stays,
    with a note of its settings and a button for the new ones: a reader who clicks five times waits
    once.

    Args:
        name: of the measurement.
        weights: hash of the model's; other weights are measured at once.
        settings: by their names as a reader knows them.
        is_known: whether the result of these settings is at hand, so that it takes no time.
    """
    key = f"applied_{name}"
    before, applied = st.session_state.get(key, (None, None))
    if is_known or before != weights or applied == settings:
        st.session_state[key] = (weights, settings)
        return settings
    changed = [
        f"{setting} {_shortened(applied[setting])}"
        for setting in settings
        if applied[setting] != settings[setting]
    ]
    with st.container(horizontal=True, vertical_alignment="center", key=f"waiting_{name}"):
        st.button(
            "Run again",
            key=f"rerun_{name}",
            type="primary",
            icon=":material/refresh:",
            on_click=st.session_state.__setitem__,
            args=(key, (weights, settings)),
        )
        st.caption(
            plain(f"This takes a few seconds. Until then the result is for {', '.join(changed)}.")
        )
    return applied


def _shortened(value: object) -> str:
    words = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return words if len(words) <= LONGEST_VALUE else f"{words[: LONGEST_VALUE - 1]}…"
