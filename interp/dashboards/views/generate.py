"""Let the model write, and see at each token what else it might have said."""

import pandas as pd
import streamlit as st

from interp.dashboards import exhibit, frame, session
from interp.dashboards.sampling import opening, sampling
from interp.protocols import Generation, LanguageModel

TITLE, ICON, GROUP = "Generate", ":material/edit_note:", "Look inside"


def render() -> None:
    """Draw the page."""
    model, entry = frame.begin(TITLE, "Let the model go on, and see each draw.")
    seed = frame.seed_box()
    prompt = frame.prompt_box(model, entry)
    options = {**sampling(), "seed": seed}
    made = session.continued(model, prompt, **options)
    with st.container(border=True):
        st.text(prompt + made.text)
    st.caption(_ended(made))
    numbers = _table(model, made)
    exhibit.table(numbers, "Each token that was drawn, with its probability and the others")
    call = f"model.generate({prompt!r}, {', '.join(f'{k}={v!r}' for k, v in options.items())})"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "CSV",
            data=lambda: numbers.to_csv(index=False),
            file_name="generate.csv",
            mime="text/csv",
            on_click="ignore",
            icon=":material/download:",
        )
        as_code = st.toggle("Copy as Python", key="code_generate")
    if as_code:
        st.code(f"{opening(model)}print({call}.text)\n", language="python")


def _ended(made: Generation) -> str:
    why = {
        "length": "It stopped at the length that was asked for.",
        "end_of_text": "It ended the text.",
        "stop_string": "It came to a stop.",
        "context": "It came to the end of its context.",
    }
    return f"{len(made.tokens[0])} tokens. {why[made.finished[0]]}"


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
