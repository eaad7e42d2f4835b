"""Concepts made from two lists of examples: the ready ones, and the session's own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from dashboards.page import header
from dashboards.page.markdown import plain
from interp.core.errors import ConfigError, InterpError, NotEnoughDataError
from interp.core.protocols import LanguageModel
from interp.methods.data.ready_lists import LABELS, list_texts, readable_lists
from interp.worlds.world import World

OWN = "own_concepts"
LEAST, LONGEST_NAME = 8, 40
NOTE = (
    f"{LEAST} or more texts of each kind. The direction is the difference of the means of the two "
    "lists. Such a direction often separates the examples and yet hardly steers: check *Gain and "
    "damage* below."
)


@dataclass(frozen=True, kw_only=True)
class ConceptList:
    """Concepts that can be chosen: the words of the world, the user's own, and the ready ones."""

    world: World | None
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ready: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Every concept, the world's first."""
        return list(dict.fromkeys([*self.words, *self.own, *self.ready]))

    def examples(self, name: str) -> Mapping[str, Any] | None:
        """The texts that show a concept, those that do not, and words; None for a world's word."""
        return self.own.get(name) or self.ready.get(name)

    @property
    def words(self) -> list[str]:
        """The words of the world's concepts."""
        groups = {} if self.world is None else self.world.concepts
        return [word for group in groups.values() for word in group]

    def slug(self, name: str) -> str:
        """A key for its widgets, without letters that an address cannot hold."""
        if name in self.own:
            return f"own{list(self.own).index(name)}"
        return f"ready{list(self.ready).index(name)}" if name in self.ready else name


def concept_list(model: LanguageModel, world: World | None) -> ConceptList:
    """The words of the world, the concepts of this session, and those of the ready lists.

    Only lists that the model's tokenizer can read.
    """
    own = st.session_state.setdefault(OWN, {})
    return ConceptList(world=world, own=own, ready=_ready_concepts(model))


def _ready_concepts(model: LanguageModel) -> dict[str, dict[str, Any]]:
    """A concept by list: of its first label against its second."""
    concepts = {}
    for name in readable_lists(model.tokenizer):
        positive, negative = list_texts(name)
        examples = {"positive": positive, "negative": negative, "words": ()}
        concepts[f"{name}: {LABELS[name][0]}"] = examples
    return concepts


def concept_form(model: LanguageModel, concepts: ConceptList) -> None:
    """The form that makes a concept from two lists of examples."""
    with st.expander("New concept from two lists of examples", icon=":material/add:"):
        st.caption(NOTE)
        first, second = st.columns(2)
        options = {"persist_state": "session"}
        first.text_input("Name", key="own_name", max_chars=LONGEST_NAME, **options)
        second.text_input(
            "Words to count in the text, separated by spaces (optional)", key="own_words", **options
        )
        left, right = st.columns(2)
        options |= {"height": 160, "max_chars": header.LONGEST_PROMPT}
        left.text_area(
            f"Texts that show it, one per line ({LEAST} or more)", key="positive", **options
        )
        right.text_area(
            f"Texts that do not, one per line ({LEAST} or more)", key="negative", **options
        )
        st.button("Create", key="make_own", on_click=_make, args=(model, concepts), type="primary")
        if message := st.session_state.pop("own_error", ""):
            st.error(plain(message), icon=":material/error:")


def _make(model: LanguageModel, concepts: ConceptList) -> None:
    """Keep the concept that was typed and choose it, or keep the message that says why not."""
    state = st.session_state
    try:
        name, examples = _typed(model, concepts)
    except InterpError as error:
        state["own_error"] = str(error)
        return
    concepts.own[name] = examples
    state["concepts"] = [*state.get("concepts", []), name][-6:]


def _typed(model: LanguageModel, concepts: ConceptList) -> tuple[str, dict[str, Any]]:
    state = st.session_state
    name = state["own_name"].strip()
    if not name or name in concepts.names:
        raise ConfigError(
            f"A new concept needs a name that is not taken; got {name or 'none'}. Enter another "
            "name."
        )
    examples: dict[str, Any] = {"words": state["own_words"].split()}
    for kind in ("positive", "negative"):
        examples[kind] = [line for line in state[kind].split("\n") if line.strip()]
    counts = [len(examples[kind]) for kind in ("positive", "negative")]
    if min(counts) < LEAST:
        raise NotEnoughDataError(
            f"A concept needs {LEAST} texts or more of each kind, one per line; got {counts[0]} "
            f"that show it and {counts[1]} that do not. Add more."
        )
    for text in (*examples["positive"], *examples["negative"]):
        header.checked_ids(model, text)
    return name, examples
