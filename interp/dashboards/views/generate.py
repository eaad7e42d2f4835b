"""Let the model write, and see at each token what else it might have said."""

import pandas as pd
import streamlit as st

from interp.dashboards import exhibit, frame, session
from interp.protocols import Generation, LanguageModel
from interp.reproduce import describe_model

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


def sampling() -> dict[str, float | int | None]:
    """How tokens are drawn, as the options of `generate`."""
    first, second, third = st.columns(3)
    length = first.slider("Tokens to write", 1, 128, 60, key="length", **frame.LINK)
    temperature = second.slider(
        "Temperature", 0.0, 2.0, 1.0, 0.05, key="temperature", help="0 = always the best",
        **frame.LINK,
    )  # fmt: skip
    top_k = third.slider("Best k only", 0, 100, 0, key="top_k", help="0 = all", **frame.LINK)
    return {"max_new_tokens": length, "temperature": temperature, "top_k": top_k or None}


def opening(model: LanguageModel) -> str:
    """Python that opens this model."""
    told = describe_model(model)
    step = "" if told["step"] is None else f", step={told['step']}"
    return f"import interp\n\nmodel = interp.load_model({told['source']!r}{step})\n"


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
