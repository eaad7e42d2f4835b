"""What is kept between reruns: opened models, and results by what was asked."""

import json
from collections.abc import Sequence
from typing import Any

import streamlit as st

from interp.dashboards.shelf import Entry
from interp.dashboards.waiting import waiting
from interp.edits import Edit
from interp.instruments import get_instrument
from interp.models.load import load_model
from interp.protocols import Generation, LanguageModel
from interp.reproduce import describe_model, record
from interp.results import Result
from interp.worlds import load_world
from interp.worlds.world import World

MOST_MODELS, MOST_RESULTS, MOST_TEXTS = 3, 32, 128


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
    key = json.dumps([instrument, describe_model(model), record(arguments)], sort_keys=True)
    with waiting("Measuring …"):
        return _measured(key, instrument, model, arguments)


@st.cache_resource(max_entries=MOST_RESULTS, show_spinner=False)
def _measured(
    key: str, _instrument: str, _model: LanguageModel, _arguments: dict[str, Any]
) -> Result:
    return get_instrument(_instrument).function(_model, **_arguments)


def continued(
    model: LanguageModel, prompt: str, *, edits: Sequence[Edit] = (), **options: Any
) -> Generation:
    """The text that follows, from memory if the same was asked before."""
    asked = [describe_model(model), prompt, record(list(edits)), options]
    with st.spinner("Writing …"):
        return _continued(json.dumps(asked, sort_keys=True), model, prompt, edits, options)


@st.cache_resource(max_entries=MOST_TEXTS, show_spinner=False)
def _continued(
    key: str,
    _model: LanguageModel,
    _prompt: str,
    _edits: Sequence[Edit],
    _options: dict[str, Any],
) -> Generation:
    return _model.generate(_prompt, edits=_edits, **_options)


@st.cache_resource(show_spinner=False)
def world(name: str) -> World:
    """A world by its name."""
    return load_world(name)
