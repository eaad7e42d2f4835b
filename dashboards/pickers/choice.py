"""One option of several, and other runs of the same world, as every page asks for them.

The choice stands in the address bar by the words a reader sees. Where the options depend on a
model or a result, a choice that is no longer among them is forgotten.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from dashboards.page.link import linked
from dashboards.page.model_list import Entry, entries

Options = Mapping[str, str] | Sequence[Any]


def choice(label: str, options: Options, key: str, **widget: Any) -> Any:
    """Buttons side by side, one of which is always pressed, at first the first.

    Args:
        label: what is chosen.
        options: values, or by each value the words for it.
        key: of the widget; its name in the address.
        widget: more options of `st.segmented_control`.
    """
    forget_what_is_gone(key, options)
    usual = {"default": next(iter(options)), "format_func": _words(options), "required": True}
    return linked(st.segmented_control, label, list(options), key=key, **{**usual, **widget})


def listed_choice(label: str, options: Options, key: str, **widget: Any) -> Any:
    """A list that opens, at first on its first option; arguments as those of `choice`."""
    forget_what_is_gone(key, options)
    return linked(
        st.selectbox, label, list(options), format_func=_words(options), key=key, **widget
    )


def forget_what_is_gone(key: str, options: Options) -> None:
    """Forget a choice, of one or several, that the present model or text does not offer."""
    choice = st.session_state.get(key)
    picked = choice if isinstance(choice, list) else [] if choice is None else [choice]
    if any(option not in options for option in picked):
        del st.session_state[key]


def same_world(entry: Entry) -> list[Entry]:
    """The other models and runs that were trained on the same world."""
    return [run for run in entries() if run.folder != entry.folder and run.world == entry.world]


def other_runs(
    runs: Sequence[Entry], key: str, *, help: str, most: int | None = None
) -> list[Entry]:
    """As many of the runs as are picked, at most `most`."""
    by_name = {run.name: run for run in runs}
    names = linked(
        st.multiselect, "Other runs", list(by_name), key=key, max_selections=most, help=help
    )
    return [by_name[name] for name in names]


def _words(options: Options) -> Any:
    return options.__getitem__ if isinstance(options, Mapping) else str
