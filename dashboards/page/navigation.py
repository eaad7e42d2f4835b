"""The pages, found by file name: `views/**/<stem>.py` has TITLE, ICON, GROUP and `render()`.

Its PLACE, a number, says where in the group it stands; without one it comes last. An instrument
without such a file has the page that its signature makes, in the last group.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from pathlib import Path

import streamlit as st

from dashboards import views
from dashboards.page import instrument_page
from dashboards.page.error_message import guarded
from dashboards.page.link import watched
from dashboards.pickers.signature_form import title_of
from interp.results.registry import FORMER_NAMES, instruments

MORE = "More instruments"
GROUPS = ("Start", "Training", "Look inside", "Intervene", "Share", MORE)
FIRST = "home"
LAST = 99


@dataclass(frozen=True, kw_only=True)
class PageEntry:
    """One page of the navigation.

    Attributes:
        title: as the navigation and the page say it.
        icon: one of Streamlit's Material icons.
        group: its heading in the navigation.
        place: where in the group it stands.
        render: draws the page.
    """

    title: str
    icon: str
    group: str
    place: int
    render: Callable[[], None]


def stems() -> list[str]:
    """The names of the pages' files and of the instruments without one, in order."""
    return sorted({*_modules(), *instruments()}, key=_place)


@cache
def _modules() -> dict[str, str]:
    """Module of each view by its file name, unique among all families."""
    paths = Path(views.__file__).parent.rglob("[!_]*.py")
    root = Path(views.__file__).parents[2]
    return {path.stem: ".".join(path.relative_to(root).with_suffix("").parts) for path in paths}


def entry(stem: str) -> PageEntry:
    """The page of a file, or of an instrument."""
    if stem not in _modules():
        return _of_instrument(stem)
    module = import_module(_modules()[stem])
    return PageEntry(
        title=module.TITLE,
        icon=module.ICON,
        group=module.GROUP,
        place=getattr(module, "PLACE", LAST),
        render=module.render,
    )


def _of_instrument(stem: str) -> PageEntry:
    instrument = instruments()[stem]
    return PageEntry(
        title=title_of(stem),
        icon=instrument_page.ICON,
        group=MORE,
        place=LAST,
        render=partial(instrument_page.render, instrument),
    )


def _place(stem: str) -> tuple[int, int, str]:
    about = entry(stem)
    return GROUPS.index(about.group), about.place, stem


def page(stem: str, address: str | None = None) -> "st.Page":
    """The page of a file, listed; at another address than its file's name it is not listed."""
    about = entry(stem)
    return st.Page(
        partial(watched, stem, guarded(about.render)),
        title=about.title,
        icon=about.icon,
        url_path=address or stem,
        default=stem == FIRST,
        visibility="visible" if address is None else "hidden",
    )


def pages() -> "dict[str, list[st.Page]]":
    """Every page by its group; under its former address, a page opens without being listed."""
    by_group: dict[str, list] = {group: [] for group in GROUPS}
    for stem in stems():
        by_group[entry(stem).group].append(page(stem))
    for former, stem in FORMER_NAMES.items():
        by_group[entry(stem).group].append(page(stem, former))
    return {group: members for group, members in by_group.items() if members}


def usual_count() -> int:
    """How many pages are listed before those of more instruments."""
    return sum(entry(stem).group != MORE for stem in stems())
