"""The pages, found by file name: `views/**/<stem>.py` has TITLE, ICON, GROUP and `render()`.

Its PLACE, a number, says where in the group it stands; without one it comes last.
"""

from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

import streamlit as st

from dashboards import views
from dashboards.page.error_message import guarded
from interp.results.registry import FORMER_NAMES

GROUPS = ("Start", "Learn", "Look inside", "Change it", "Tell")
FIRST = "home"
LAST = 99


def stems() -> list[str]:
    """The names of the files, in the order of the pages."""
    return sorted(_modules(), key=_place)


@cache
def _modules() -> dict[str, str]:
    """Module of each view by its file name, unique among all families."""
    paths = Path(views.__file__).parent.rglob("[!_]*.py")
    root = Path(views.__file__).parents[2]
    return {path.stem: ".".join(path.relative_to(root).with_suffix("").parts) for path in paths}


def view(stem: str) -> ModuleType:
    """The module of a page: TITLE, ICON, GROUP, render()."""
    return import_module(_modules()[stem])


def _place(stem: str) -> tuple[int, int, str]:
    module = view(stem)
    return GROUPS.index(module.GROUP), getattr(module, "PLACE", LAST), stem


def page(stem: str, address: str | None = None) -> "st.Page":
    """The page of a file, listed; at another address than its file's name it is not listed."""
    module = view(stem)
    return st.Page(
        guarded(module.render),
        title=module.TITLE,
        icon=module.ICON,
        url_path=address or stem,
        default=stem == FIRST,
        visibility="visible" if address is None else "hidden",
    )


def pages() -> "dict[str, list[st.Page]]":
    """Every page by its group; under its former address, a page opens without being listed."""
    by_group: dict[str, list] = {group: [] for group in GROUPS}
    for stem in stems():
        by_group[view(stem).GROUP].append(page(stem))
    for former, stem in FORMER_NAMES.items():
        if stem in _modules():
            by_group[view(stem).GROUP].append(page(stem, former))
    return {group: members for group, members in by_group.items() if members}
