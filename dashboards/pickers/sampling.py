"""The sampling options, as every page that generates text asks for them."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboards.page.link import linked
from interp.core.protocols import LanguageModel
from interp.results.provenance import describe_model
from interp.results.replay import load_call


def sampling() -> dict[str, float | int | None]:
    """The sampling options of a whole text, as the options of `generate`."""
    first, second, third = st.columns(3)
    length = linked(first.slider, "Tokens to generate", 1, 128, 60, key="length")
    return {"max_new_tokens": length, **_temperature_and_top_k(second, third)}


def token_sampling() -> dict[str, float | int | None]:
    """The sampling options of one token: temperature, top-k and top-p."""
    first, second, third = st.columns(3)
    options = _temperature_and_top_k(first, second)
    top_p = linked(
        third.slider, "Top-p", 0.05, 1.0, 1.0, 0.05, key="top_p",
        help="Sample from the smallest set of tokens with this probability; 1 = all.",
    )  # fmt: skip
    return {**options, "top_p": top_p if top_p < 1 else None}


def _temperature_and_top_k(
    left: DeltaGenerator, right: DeltaGenerator
) -> dict[str, float | int | None]:
    temperature = linked(
        left.slider, "Temperature", 0.0, 2.0, 1.0, 0.05, key="temperature",
        help="0 = always the most probable token",
    )  # fmt: skip
    top_k = linked(
        right.slider, "Top-k", 0, 100, 0, key="top_k",
        help="Sample from the k most probable tokens only; 0 = all.",
    )  # fmt: skip
    return {"temperature": temperature, "top_k": top_k or None}


def load_code(model: LanguageModel) -> str:
    """Python that opens this model."""
    call = load_call(describe_model(model))
    torch = "import torch\n" if "torch." in call else ""
    return f"import interp\n{torch}\nmodel = {call}\n"
