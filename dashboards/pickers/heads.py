"""The widgets that choose head, token and direction; clicks in the picture move them.

They are in the address bar, so a locked token is in the permalink.
"""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboards.components.attention import HeadSelection
from dashboards.page.link import linked
from dashboards.pickers.choice import choice, listed_choice
from interp.analyses.attention_heads.attention import Attention
from interp.plots.attention_heads.attention import MOST_PANELS

ALL, NONE = "all", "none"
COMPONENT = "attention_words"
SHOWN = {
    "attention": "Attention weight",
    "written": "Value-weighted attention",
    "effect": "Effect on the answer",
}
LOOKS = {"from": "attends to", "to": "is attended to by"}
COMBINES = ("mean", "largest")
MOST_BYTES = 4_000_000


@dataclass(frozen=True, kw_only=True)
class HeadChoice:
    """What is drawn: the view, the heads, the locked token, and the layers sent to the browser."""

    show: str
    look: str
    combine: str
    selection: HeadSelection
    layers: tuple[int, ...]

    @property
    def title(self) -> str:
        """Of the figure in the report."""
        layer = "all layers" if self.selection.layer < 0 else f"layer {self.selection.layer}"
        return f"Attention, {layer}" + (
            "" if self.selection.head < 0 else f", head {self.selection.head}"
        )

    def options(self, result: Attention) -> dict[str, Any]:
        """The figure's own words for the same."""
        layers, heads = result.pattern.shape[:2]
        options: dict[str, Any] = {"view": "attention" if self.show == "effect" else self.show}
        if self.selection.layer >= 0:
            options["layer"], layers = self.selection.layer, 1
        if self.selection.head >= 0:
            options["head"], heads = self.selection.head, 1
        if layers * heads > (MOST_PANELS if self.selection.word < 0 else 1):
            options["combine"] = self.combine
        if self.selection.word >= 0:
            options |= {"word": self.selection.word, "look": self.look}
        return options


def head_choice(result: Attention) -> HeadChoice:
    """The row of widgets, and what it says."""
    n_layers, n_heads = result.pattern.shape[:2]
    words = {str(i): f"{i}: {token}" for i, token in enumerate(result.tokens)}
    with st.container(horizontal=True):
        show = listed_choice("Show", SHOWN, "show", width=220)
        layer = listed_choice("Layer", [*map(str, range(n_layers)), ALL], "layer", width=84)
        head = listed_choice("Head", [*map(str, range(n_heads)), ALL], "head", width=84)
        combine = COMBINES[0]
        if ALL in (layer, head):
            combine = listed_choice("Several heads", COMBINES, "combine", width=120)
        word = listed_choice("Locked token", {NONE: NONE, **words}, "word", width=160)
        look = choice("The token", LOOKS, "look")
    layer, head, word = (
        -1 if value in (ALL, NONE) else int(value) for value in (layer, head, word)
    )
    layers, selection = _sent(result, HeadSelection(layer=layer, head=head, word=word))
    return HeadChoice(show=show, look=look, combine=combine, selection=selection, layers=layers)


def follow_click() -> None:
    """A token or a head was picked in the picture: set the widgets to it."""
    state = st.session_state[COMPONENT].get("at") or {}
    for name, beyond in (("layer", ALL), ("head", ALL), ("word", NONE)):
        number = int(state.get(name, -1))
        st.session_state[name] = beyond if number < 0 else str(number)


def _sent(result: Attention, selection: HeadSelection) -> tuple[tuple[int, ...], HeadSelection]:
    """The layers that go to the browser: all, or one where they are too large."""
    layers, heads, length, _ = result.pattern.shape
    size = layers * heads * length * (length + 1) // 2
    if size <= MOST_BYTES:
        return tuple(range(layers)), selection
    layer = max(0, selection.layer)
    st.info(
        f"{layers * heads} heads × {length} tokens are {size / 1e6:.0f} MB of weights, so only "
        f"layer {layer} is drawn. Choose another layer, or draw all.",
        icon=":material/content_cut:",
    )
    if linked(st.toggle, "Draw all anyway", key="draw_all"):
        return tuple(range(layers)), selection
    return (layer,), HeadSelection(layer=layer, head=selection.head, word=selection.word)
