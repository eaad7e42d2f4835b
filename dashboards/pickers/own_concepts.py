"""Concepts of the user's own, made from two lists of examples; they last as long as the session."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from dashboards.page import header
from dashboards.page.markdown import plain
from interp.core.errors import ConfigError, InterpError, NotEnoughDataError
from interp.core.protocols import LanguageModel
from interp.worlds.world import World

OWN = "own_concepts"
LEAST, LONGEST_NAME = 8, 40
NOTE = (
    "The direction is the difference of the two lists' means. Such a direction often tells the "
    "examples apart and yet hardly steers: look at the gauges before you believe it."
)


@dataclass(frozen=True, kw_only=True)
class ConceptList:
    """Concepts that can be picked: the world's words, and the user's own by name."""

    world: World | None
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def words(self) -> list[str]:
        """Of the world."""
        groups = {} if self.world is None else self.world.concepts
        return [word for group in groups.values() for word in group]

    def slug(self, name: str) -> str:
        """A key for its widgets, without letters that an address cannot hold."""
        return f"own{list(self.own).index(name)}" if name in self.own else name


def concept_list(world: World | None) -> ConceptList:
    """The world's words and what this session made."""
    return ConceptList(world=world, own=st.session_state.setdefault(OWN, {}))


def concept_form(model: LanguageModel, known: ConceptList) -> None:
    """The form that makes a concept from two lists of examples."""
    with st.expander("New concept from two lists of examples", icon=":material/add:"):
        st.caption(NOTE)
        first, second = st.columns(2)
        told = {"persist_state": "session"}
        first.text_input("Name", key="own_name", max_chars=LONGEST_NAME, **told)
        second.text_input(
            "Words to count in the text, parted by spaces (optional)", key="own_words", **told
        )
        left, right = st.columns(2)
        told |= {"height": 160, "max_chars": header.LONGEST_PROMPT}
        left.text_area("Texts that show it, one a line", key="positive", **told)
        right.text_area("Texts that do not, one a line", key="negative", **told)
        st.button("Make it", key="make_own", on_click=_make, args=(model, known), type="primary")
        if message := st.session_state.pop("own_told", ""):
            st.error(plain(message), icon=":material/error:")


def _make(model: LanguageModel, known: ConceptList) -> None:
    """Keep what was typed as a concept and put it on the rack; else say why not."""
    state = st.session_state
    try:
        name, told = _typed(model, known)
    except InterpError as error:
        state["own_told"] = str(error)
        return
    known.own[name] = told
    state["concepts"] = [*state.get("concepts", []), name][-6:]


def _typed(model: LanguageModel, known: ConceptList) -> tuple[str, dict[str, Any]]:
    state = st.session_state
    name = state["own_name"].strip()
    if not name or name in known.words or name in known.own:
        raise ConfigError(
            f"A new concept needs a name that no other has; {name or 'none'} came. Give another."
        )
    told: dict[str, Any] = {"words": state["own_words"].split()}
    for kind in ("positive", "negative"):
        told[kind] = [line for line in state[kind].split("\n") if line.strip()]
    counts = [len(told[kind]) for kind in ("positive", "negative")]
    if min(counts) < LEAST:
        raise NotEnoughDataError(
            f"A concept needs {LEAST} texts or more of each kind, one a line; {counts[0]} that "
            f"show it and {counts[1]} that do not came. Write more."
        )
    for text in (*told["positive"], *told["negative"]):
        model.to_tokens(text)
    return name, told
