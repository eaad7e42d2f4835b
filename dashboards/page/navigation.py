"""The pages, found by file name: `views/**/<stem>.py` has TITLE, ICON, GROUP and `render()`.

Its PLACE, a number, says where in the group it stands; without one it comes last.
"""

from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

import streamlit as st

from dashboards import views
from dashboards.page.error_box import guarded

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
    root = Path(views.__file__).parents[1].parent
    return {path.stem: ".".join(path.relative_to(root).with_suffix("").parts) for path in paths}


def view(stem: str) -> ModuleType:
    return import_module(_modules()[stem])


def _place(stem: str) -> tuple[int, int, str]:
    module = view(stem)
    return GROUPS.index(module.GROUP), getattr(module, "PLACE", LAST), stem


def page(stem: str) -> "st.Page":
    """The page of a file."""
    module = view(stem)
    return st.Page(
        guarded(module.render),
        title=module.TITLE,
        icon=module.ICON,
        url_path=stem,
        default=stem == FIRST,
    )


def pages() -> "dict[str, list[st.Page]]":
    """Every page by its group."""
    found: dict[str, list] = {group: [] for group in GROUPS}
    for stem in stems():
        found[view(stem).GROUP].append(page(stem))
    return {group: members for group, members in found.items() if members}
