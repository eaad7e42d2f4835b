"""The pages, found by file name: `views/<stem>.py` has TITLE, ICON, GROUP and `render()`."""

from importlib import import_module
from pathlib import Path

import streamlit as st

from interp.dashboards.guard import guarded

GROUPS = ("Start", "Learn", "Look inside", "Change it", "Tell")
FIRST = "home"


def stems() -> list[str]:
    """The names of the files, the first page first."""
    found = (path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")
    return sorted(found, key=lambda stem: (stem != FIRST, stem))


def page(stem: str) -> "st.Page":
    """The page of a file."""
    view = import_module(f"{__name__}.{stem}")
    return st.Page(
        guarded(view.render),
        title=view.TITLE,
        icon=view.ICON,
        url_path=stem,
        default=stem == FIRST,
    )


def pages() -> "dict[str, list[st.Page]]":
    """Every page by its group."""
    found: dict[str, list] = {group: [] for group in GROUPS}
    for stem in stems():
        found[import_module(f"{__name__}.{stem}").GROUP].append(page(stem))
    return {group: members for group, members in found.items() if members}
