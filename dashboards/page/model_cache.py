"""What is kept between reruns: opened models, and results by what was asked."""

import streamlit as st

from dashboards.page.model_list import Entry, is_gguf
from interp.core.protocols import LanguageModel
from interp.models.io.load import load_model
from interp.worlds import load_world
from interp.worlds.world import World

MOST_MODELS = 3


def opened(entry: Entry, step: int | None) -> LanguageModel:
    """The model, from memory if these very weights were opened before.

    Raises:
        CheckpointError: its files are missing, damaged or foreign.
    """
    first = "; a GGUF file is converted once, which takes a while" if is_gguf(entry.folder) else ""
    with st.spinner(f"Opening the model{first} …"):
        return _opened(entry.source, step, entry.weights_hash(step))


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _opened(source: str, step: int | None, weights: str) -> LanguageModel:
    return load_model(source, step=step)


@st.cache_resource(show_spinner=False)
def world(name: str) -> World:
    """A world by its name."""
    return load_world(name)
