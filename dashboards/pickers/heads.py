"""The widgets that say which head, word and direction are shown; clicks in the picture move them.

They stand in the address bar, so a locked word is in the permalink.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboards.components.attention import HeadSelection
from dashboards.page.header import LINK
from interp.analyses.attention_heads.attention import Attention
from interp.plots.attention_heads.attention import MOST_PANELS

ALL, NONE = "all", "none"
COMPONENT = "attention_words"
SHOWN = {
    "attention": "Attention weight",
    "written": "Weight × what is written",
    "effect": "Effect on the answer",
}
LOOKS = {"from": "looks at", "to": "is looked at by"}
COMBINES = ("mean", "largest")
MOST_BYTES = 4_000_000


@dataclass(frozen=True, kw_only=True)
class HeadChoice:
    """What is drawn: the view, the heads, the locked word, and the layers that are sent."""

    show: str
    look: str
    combine: str
    place: HeadSelection
    layers: tuple[int, ...]

    @property
    def title(self) -> str:
        """Of the figure in the report."""
        layer = "all layers" if self.place.layer < 0 else f"layer {self.place.layer}"
        return f"Attention, {layer}" + ("" if self.place.head < 0 else f", head {self.place.head}")

    def options(self, result: Attention) -> dict[str, Any]:
        """The figure's own words for the same."""
        layers, heads = result.pattern.shape[:2]
        told: dict[str, Any] = {"view": "attention" if self.show == "effect" else self.show}
        if self.place.layer >= 0:
            told["layer"], layers = self.place.layer, 1
        if self.place.head >= 0:
            told["head"], heads = self.place.head, 1
        if layers * heads > (MOST_PANELS if self.place.word < 0 else 1):
            told["combine"] = self.combine
        if self.place.word >= 0:
            told |= {"word": self.place.word, "look": self.look}
        return told


def pick(result: Attention) -> HeadChoice:
    """The row of widgets, and what it says."""
    n_layers, n_heads = result.pattern.shape[:2]
    options = {
        "layer": [*map(str, range(n_layers)), ALL],
        "head": [*map(str, range(n_heads)), ALL],
        "word": [NONE, *map(str, range(len(result.tokens)))],
    }
    _forget_what_is_gone(options)
    with st.container(horizontal=True):
        show = st.selectbox("Show", SHOWN, 0, SHOWN.get, key="show", width=220, **LINK)
        layer = st.selectbox("Layer", options["layer"], key="layer", width=84, **LINK)
        head = st.selectbox("Head", options["head"], key="head", width=84, **LINK)
        combine = _combine() if ALL in (layer, head) else COMBINES[0]
        word = st.selectbox(
            "Locked word", options["word"], 0, named(result), key="word", width=160, **LINK
        )
        look = st.segmented_control(
            "A word", LOOKS, default="from", required=True, format_func=LOOKS.get, key="look",
            **LINK,
        )  # fmt: skip
    layer, head, word = (-1 if each in (ALL, NONE) else int(each) for each in (layer, head, word))
    layers, place = _sent(result, HeadSelection(layer=layer, head=head, word=word))
    return HeadChoice(show=show, look=look, combine=combine, place=place, layers=layers)


def follow() -> None:
    """A word or a head was picked in the picture: the widgets say it too."""
    at = st.session_state[COMPONENT].get("at") or {}
    for name, beyond in (("layer", ALL), ("head", ALL), ("word", NONE)):
        number = int(at.get(name, -1))
        st.session_state[name] = beyond if number < 0 else str(number)


def named(result: Attention) -> Callable[[str], str]:
    """How a place of the text is called in the list and in the address."""
    return lambda at: at if at == NONE else f"{at}: {result.tokens[int(at)]}"


def _combine() -> str:
    return st.selectbox("Several heads", COMBINES, key="combine", width=120, **LINK)


def _forget_what_is_gone(options: Mapping[str, list[str]]) -> None:
    """Another model has other heads, another text other words."""
    for name, there in options.items():
        if st.session_state.get(name, there[0]) not in there:
            del st.session_state[name]


def _sent(result: Attention, place: HeadSelection) -> tuple[tuple[int, ...], HeadSelection]:
    """The layers that go to the browser: all, or one where they are too large."""
    layers, heads, length, _ = result.pattern.shape
    size = layers * heads * length * (length + 1) // 2
    if size <= MOST_BYTES:
        return tuple(range(layers)), place
    layer = max(0, place.layer)
    st.info(
        f"{layers * heads} heads × {length} tokens are {size / 1e6:.0f} MB of weights, so only "
        f"layer {layer} is drawn. Pick another, or draw all.",
        icon=":material/content_cut:",
    )
    if st.toggle("Draw all anyway", key="draw_all", **LINK):
        return tuple(range(layers)), place
    return (layer,), HeadSelection(layer=layer, head=place.head, word=place.word)
