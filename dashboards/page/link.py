"""Widgets whose values stand in the address bar, so that the address is the permalink.

Where a link asks for what is not here (a model, a step, a head, a number out of range), the widget
shows its default instead, and one line above the page says so.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from dashboards.page.markdown import plain

STATE = "link"
LONGEST = 60
FORMER_LABELS: Mapping[str, Mapping[str, object]] = {
    "at": {"Just before a question's answer": "asked", "Where it is said": "stated"},
    "curriculum_view": {"What was taught": "mixture", "How it ended": "end"},
    "curve": {"Tokens a second": "tokens_per_second"},
    "edit_at": {"Where it was said last": "told"},
    "edit_view": {"Beside its controls": "rates"},
    "emergence_view": {"When": "when", "Every curve": "curves"},
    "growth_view": {"Words": "words", "Lens": "lens"},
    "lens_colour": {
        "Probability of the best token": "probability",
        "Rank of the final answer": "answer_rank",
        "Distance from the final answer (KL)": "kl",
        "Probability of the followed word": "target",
        "Rank of the followed word": "rank",
    },
    "look": {"looks at": "from", "is looked at by": "to", "Who moved": "parts"},
    "measure": {"Since the first weights": "path"},
    "part": {
        "A table of my own": "table",
        "Better prediction, better map?": "map",
        "Edit the map": "edit",
    },
    "probe_view": {"What is taken for what": "confusion"},
    "scale_view": {"Beside published models": "models", "The law of losses": "law"},
    "show": {"Weight × what is written": "written"},
    "surprise_colour": {
        "Regret: loss less the floor": "regret",
        "Floor: the least that any model could pay": "floor",
    },
}
"""Labels that links of earlier versions hold, by widget, and the options they stand for."""


@dataclass(frozen=True, kw_only=True)
class Unfulfilled:
    """What a link asks for in vain.

    Attributes:
        label: of the widget.
        asked: as it stands in the link.
        words: what is shown in its place.
        value: of the widget, as long as nobody has changed it.
    """

    label: str
    asked: str
    words: str
    value: Any


@dataclass(kw_only=True)
class PageLink:
    """How far the link of one page was followed.

    Attributes:
        page: its name.
        read: what was looked up in it.
        keys: of the widgets that stand on the page now.
        unfulfilled: what it asks for in vain.
    """

    page: str
    read: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    unfulfilled: dict[str, Unfulfilled] = field(default_factory=dict)


def watched(page: str, render: Callable[[], None]) -> None:
    """Draw a page and, above it, what its link asks for in vain.

    Args:
        page: its name; another page has another link.
        render: draws it, also where it ends in an error message.
    """
    place = st.empty()
    if _link().page != page:
        st.session_state[STATE] = PageLink(page=page)
    _link().keys.clear()
    _follow_former_labels()
    render()
    link = _link()
    if vain := [note for key, note in link.unfulfilled.items() if key in link.keys]:
        said = "; ".join(f"{each.label} {each.asked} (shown: {each.words})" for each in vain)
        message = plain(f"The link asks for what is not here: {said}.")
        place.warning(message, icon=":material/link_off:")


def linked(widget: Callable[..., Any], label: str, *options: Any, key: str, **more: Any) -> Any:
    """A widget whose value stands in the address.

    Args:
        widget: of Streamlit, also of a column.
        label: of the widget.
        options: of the widget, by place.
        key: of the widget; its name in the address.
        more: options of the widget, by name.
    """
    asked = st.query_params.get_all(key)
    # Streamlit would make a whole number of an infinite one, and fail; and of no choice where one
    # is required, none.
    unreadable = any(map(_is_infinite, asked)) and widget.__name__ == "number_input"
    if asked and not any(asked) and more.get("required"):
        unreadable = True
    bind = {} if unreadable else {"bind": "query-params"}
    value = widget(label, *options, key=key, **more, **bind)
    values = value if isinstance(value, list | tuple) else [] if value is None else [value]
    labels = [str(more.get("format_func", str)(each)) for each in values]
    same = _same(key, asked, values, labels)
    compare(key, label, asked, value, ", ".join(labels) or "none", same)
    return value


def compare(key: str, label: str, asked: list[str], value: Any, words: str, same: bool) -> None:
    """Note it if a link asks for other than is shown, until somebody changes what is shown.

    Args:
        key: in the address.
        label: what it is called.
        asked: as it stands in the address; empty where the link does not say.
        value: that is shown.
        words: the same in words.
        same: whether it is what the link asks for.
    """
    link = _link()
    link.keys.add(key)
    if key in link.read:
        # The server does not hear of later addresses: only the first time is the link's.
        if key in link.unfulfilled and link.unfulfilled[key].value != value:
            del link.unfulfilled[key]
        return
    link.read.add(key)
    if not same:
        request = _shortened(", ".join(asked)) or "nothing"
        link.unfulfilled[key] = Unfulfilled(
            label=label, asked=request, words=_shortened(words), value=value
        )


def _same(key: str, asked: list[str], values: list[Any], labels: list[str]) -> bool:
    """Whether the values of a widget are those that a link asks for."""
    former = FORMER_LABELS.get(key, {})
    if not asked or labels == asked or [former.get(each) for each in asked] == values:
        return True
    if not values:
        return not any(asked)
    if isinstance(values[0], bool):
        return [asked[-1].lower()] == [str(values[0]).lower()]
    if isinstance(values[0], int | float):
        return _numbers(asked) == values
    # A single choice takes the last of several.
    return labels == asked[-1:]


def _numbers(texts: list[str]) -> list[float]:
    try:
        return [float(text) for text in texts]
    except ValueError:
        return []


def _is_infinite(text: str) -> bool:
    return any(map(math.isinf, _numbers([text])))


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _link() -> PageLink:
    return st.session_state.setdefault(STATE, PageLink(page=""))


def _follow_former_labels() -> None:
    """Choose the options that a link of an earlier version names by their former labels."""
    for key, options in FORMER_LABELS.items():
        label = st.query_params.get(key)
        if label in options and key not in st.session_state:
            st.session_state[key] = options[label]
