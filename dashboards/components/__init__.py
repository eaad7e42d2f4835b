"""Own small widgets: `<stem>.js` and `<stem>.css` run in the browser, mounted by `component`.

A `<stem>.py` makes the data of those that more than one page draws, or whose data are packed.
Data reach the browser as values, never as markup: a component writes words with `textContent`.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st


@cache
def component(stem: str) -> Callable[..., Any]:
    """The mounting command of a component, registered once.

    Args:
        stem: of its `.js` and `.css` file in this folder.
    """
    here = Path(__file__).parent
    return st.components.v2.component(
        f"interp_{stem}",
        css=(here / f"{stem}.css").read_text("utf-8"),
        js=(here / f"{stem}.js").read_text("utf-8"),
    )
