"""How tokens are drawn, as every page that writes text asks for it."""

import streamlit as st

from dashboards.page import header
from interp.core.protocols import LanguageModel
from interp.results.provenance import describe_model


def sampling() -> dict[str, float | int | None]:
    """How tokens are drawn, as the options of `generate`."""
    first, second, third = st.columns(3)
    length = first.slider("Tokens to write", 1, 128, 60, key="length", **header.LINK)
    temperature = second.slider(
        "Temperature", 0.0, 2.0, 1.0, 0.05, key="temperature", help="0 = always the best",
        **header.LINK,
    )  # fmt: skip
    top_k = third.slider("Best k only", 0, 100, 0, key="top_k", help="0 = all", **header.LINK)
    return {"max_new_tokens": length, "temperature": temperature, "top_k": top_k or None}


def odds() -> dict[str, float | int | None]:
    """How one token is drawn: the temperature and every cut-off."""
    first, second, third = st.columns(3)
    temperature = first.slider(
        "Temperature", 0.0, 2.0, 1.0, 0.05, key="temperature", help="0 = always the best",
        **header.LINK,
    )  # fmt: skip
    top_k = second.slider("Best k only", 0, 100, 0, key="top_k", help="0 = all", **header.LINK)
    top_p = third.slider(
        "Best share only (top-p)", 0.05, 1.0, 1.0, 0.05, key="top_p", **header.LINK,
        help="Only the best tokens that have this share of the probability together; 1 = all.",
    )  # fmt: skip
    return {
        "temperature": temperature,
        "top_k": top_k or None,
        "top_p": top_p if top_p < 1 else None,
    }


def load_code(model: LanguageModel) -> str:
    """Python that opens this model."""
    told = describe_model(model)
    step = "" if told["step"] is None else f", step={told['step']}"
    return f"import interp\n\nmodel = interp.load_model({told['source']!r}{step})\n"
