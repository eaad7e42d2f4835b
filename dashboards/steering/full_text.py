"""A text written in one go: what came, and each draw in a table."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboards.page import measurements, result_card
from dashboards.pickers.sampling import load_code
from interp.core.protocols import Generation, LanguageModel

ENDED = {
    "length": "It stopped at the length that was asked for.",
    "end_of_text": "It ended the text.",
    "stop_string": "It came to a stop.",
    "context": "It came to the end of its context.",
}


def whole_text(model: LanguageModel, prompt: str, options: dict[str, Any]) -> None:
    """Draw the text that a model writes, and every token's numbers.

    Args:
        model: that writes.
        prompt: the beginning.
        options: of `generate`.
    """
    made = measurements.continued(model, prompt, **options)
    with st.container(border=True):
        st.text(prompt + made.text)
    st.caption(f"{len(made.tokens[0])} tokens. {ENDED[made.finished[0]]}")
    numbers = _table(model, made)
    result_card.table(numbers, "Each token that was drawn, with its probability and the others")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "CSV",
            data=lambda: numbers.to_csv(index=False),
            file_name="text.csv",
            mime="text/csv",
            on_click="ignore",
            icon=":material/download:",
        )
        as_code = st.toggle("Copy as Python", key="code_text")
    if as_code:
        told = ", ".join(f"{name}={value!r}" for name, value in options.items())
        code = f"{load_code(model)}print(model.generate({prompt!r}, {told}).text)\n"
        st.code(code, language="python")


def _table(model: LanguageModel, made: Generation) -> pd.DataFrame:
    shown = model.tokenizer.display
    rows = [
        {
            "token": shown([step.token])[0],
            "probability": step.probability,
            "rank": step.rank,
            "entropy (bits)": step.entropy_bits,
            "draw": step.draw,
            "best candidates": "  ".join(
                f"{shown([token])[0]} {chance:.0%}" for token, chance, _ in step.top
            ),
        }
        for step in made.steps[0]
    ]
    return pd.DataFrame(rows)
