"""What is kept between reruns: opened models, and results by what was asked."""

import json
from collections.abc import Sequence
from threading import Condition
from typing import Any

import streamlit as st
from cachetools import LRUCache, cached

from interp.dashboards.shelf import Entry
from interp.dashboards.waiting import waiting
from interp.edits import Edit
from interp.instruments import get_instrument
from interp.models.load import load_model
from interp.protocols import Generation, LanguageModel
from interp.reproduce import describe_model, record
from interp.results import Result
from interp.values import size_bytes
from interp.worlds import load_world
from interp.worlds.world import World

MOST_MODELS = 3
MOST_BYTES = 64 * 2**20
"""Of all results and texts together, shared by everyone who looks at this server."""
_memory: LRUCache = LRUCache(MOST_BYTES, getsizeof=size_bytes)
_turn = Condition()  # With it, two who ask the same at once wait for one measurement.


def opened(entry: Entry, step: int | None) -> LanguageModel:
    """The model, from memory if these very weights were opened before.

    Raises:
        CheckpointError: its files are missing, damaged or foreign.
    """
    with st.spinner("Opening the model …"):
        return _opened(entry.source, step, entry.weights_hash(step))


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _opened(source: str, step: int | None, weights: str) -> LanguageModel:
    return load_model(source, step=step)


def measured(instrument: str, model: LanguageModel, **arguments: Any) -> Result:
    """What an instrument finds, from memory if the same was asked of the same weights before.

    Models and results are never changed once they are made, so sessions can share them.
    """
    with waiting("Measuring …"):
        return _measured(_asked(instrument, model, arguments), instrument, model, arguments)


def knows(instrument: str, model: LanguageModel, **arguments: Any) -> bool:
    """Whether this was measured before, and is still remembered."""
    return _asked(instrument, model, arguments) in _memory


def forget() -> None:
    """Forget every result and text."""
    with _turn:
        _memory.clear()


def _asked(instrument: str, model: LanguageModel, arguments: dict[str, Any]) -> str:
    return json.dumps([instrument, describe_model(model), record(arguments)], sort_keys=True)


@cached(_memory, key=lambda asked, *_: asked, condition=_turn)
def _measured(
    asked: str, instrument: str, model: LanguageModel, arguments: dict[str, Any]
) -> Result:
    return get_instrument(instrument).function(model, **arguments)


def continued(
    model: LanguageModel, prompt: str, *, edits: Sequence[Edit] = (), **options: Any
) -> Generation:
    """The text that follows, from memory if the same was asked before."""
    told = {"prompt": prompt, "edits": list(edits), **options}
    with st.spinner("Writing …"):
        return _continued(_asked("generate", model, told), model, prompt, edits, options)


@cached(_memory, key=lambda asked, *_: asked, condition=_turn)
def _continued(
    asked: str,
    model: LanguageModel,
    prompt: str,
    edits: Sequence[Edit],
    options: dict[str, Any],
) -> Generation:
    return model.generate(prompt, edits=edits, **options)


@st.cache_resource(show_spinner=False)
def world(name: str) -> World:
    """A world by its name."""
    return load_world(name)
