"""The pages, found by file name: `views/<stem>.py` has TITLE, ICON, GROUP and `render()`.

Its PLACE, a number, says where in the group it stands; without one it comes last.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import streamlit as st

from interp.dashboards.guard import guarded

GROUPS = ("Start", "Learn", "Look inside", "Change it", "Tell")
FIRST = "home"
LAST = 99


def stems() -> list[str]:
    """The names of the files, in the order of the pages."""
    found = (path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")
    return sorted(found, key=_place)


def _view(stem: str) -> ModuleType:
    return import_module(f"{__name__}.{stem}")


def _place(stem: str) -> tuple[int, int, str]:
    view = _view(stem)
    return GROUPS.index(view.GROUP), getattr(view, "PLACE", LAST), stem


def page(stem: str) -> "st.Page":
    """The page of a file."""
    view = _view(stem)
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
        found[_view(stem).GROUP].append(page(stem))
    return {group: members for group, members in found.items() if members}
