"""A text generated in one go, and each sampled token in a table."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboards.page import measurements, result_card
from dashboards.page.downloads import download_button
from dashboards.pickers.sampling import load_code
from interp.core.display import percent
from interp.core.protocols import Generation, LanguageModel

ENDED = {
    "length": "It reached the requested length.",
    "end_of_text": "It ended with the end-of-text token.",
    "stop_string": "It reached a stop string.",
    "context": "It reached the end of the context.",
}


def whole_text(model: LanguageModel, prompt: str, options: dict[str, Any]) -> None:
    """Show the text that a model generates, and the numbers of every token.

    Args:
        model: that generates.
        prompt: to continue.
        options: of `generate`.
    """
    generation = measurements.continued(model, prompt, **options)
    with st.container(border=True):
        st.text(prompt + generation.text)
    st.caption(f"{len(generation.tokens[0])} tokens. {ENDED[generation.finished[0]]}")
    numbers = _table(model, generation)
    result_card.table(numbers, "Each sampled token with its probability and the other candidates")
    with st.container(horizontal=True, vertical_alignment="center"):
        download_button("CSV", "text.csv", lambda: numbers.to_csv(index=False))
        as_code = st.toggle("Copy as Python", key="code_text")
    if as_code:
        arguments = ", ".join(f"{name}={value!r}" for name, value in options.items())
        code = f"{load_code(model)}print(model.generate({prompt!r}, {arguments}).text)\n"
        st.code(code, language="python")


def _table(model: LanguageModel, generation: Generation) -> pd.DataFrame:
    display = model.tokenizer.display
    rows = [
        {
            "token": display([step.token])[0],
            "probability": step.probability,
            "rank": step.rank,
            "entropy (bits)": step.entropy_bits,
            "random number": step.draw,
            "best candidates": "  ".join(
                f"{display([token])[0]} {percent(chance)}" for token, chance, _ in step.top
            ),
        }
        for step in generation.steps[0]
    ]
    return pd.DataFrame(rows)
