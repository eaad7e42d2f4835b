"""What takes long waits until it is asked for; meanwhile the page answers at once."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboards.page.markdown import plain

LONGEST_VALUE = 40
Settings = Mapping[str, Any]


def is_requested(name: str, pressed: bool, wanted: object) -> bool:
    """Whether what takes long was asked for: it was, until other settings are chosen.

    Args:
        name: of what is asked for.
        pressed: whether its button was pressed just now.
        wanted: the settings.
    """
    if pressed:
        st.session_state[f"asked_{name}"] = wanted
    return st.session_state.get(f"asked_{name}") == wanted


def applied_settings(
    name: str, weights: str, wanted: Settings, *, is_known: bool = False
) -> Settings:
    """The settings that the page measures with: the chosen ones, or still those of before.

    The first settings of a model are measured at once. When they are changed, what was measured
    stays, with a word of what it is of and a button for the new ones: a reader who clicks five
    times waits once.

    Args:
        name: of what is measured.
        weights: hash of the model's; other weights are measured at once.
        wanted: the settings by their names as a reader knows them.
        is_known: whether these were measured before, so that nobody has to wait.
    """
    key = f"in_force_{name}"
    before, held = st.session_state.get(key, (None, None))
    if is_known or before != weights or held == wanted:
        st.session_state[key] = (weights, wanted)
        return wanted
    changed = [f"{each} {_shown(held[each])}" for each in wanted if held[each] != wanted[each]]
    with st.container(horizontal=True, vertical_alignment="center", key=f"waiting_{name}"):
        st.button(
            "Measure anew",
            key=f"anew_{name}",
            type="primary",
            icon=":material/refresh:",
            on_click=st.session_state.__setitem__,
            args=(key, (weights, wanted)),
        )
        st.caption(plain(f"Takes some seconds. Shown until then: {', '.join(changed)}."))
    return held


def _shown(value: object) -> str:
    words = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return words if len(words) <= LONGEST_VALUE else f"{words[: LONGEST_VALUE - 1]}…"
