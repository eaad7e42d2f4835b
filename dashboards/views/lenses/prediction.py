"""One next token step by step, and the branches of a text that is generated so."""

from typing import Any

import streamlit as st

from dashboards.page import header, measurements, result_card
from dashboards.page.link import linked
from dashboards.pickers.choice import choice
from dashboards.pickers.sampling import token_sampling
from dashboards.prediction import stepper
from dashboards.prediction.branches import Walk, link, walk
from dashboards.prediction.stages import PassStage, stages
from dashboards.prediction.whole_text import whole_text
from interp.analyses.lenses.prediction import Prediction
from interp.core.protocols import LanguageModel

TITLE, ICON, GROUP, PLACE = "Prediction", ":material/stairs:", "Look inside", 0
STEPS, WHOLE = "Step by step", "Whole text"
WHAT = "How a language model generates text: follow one next token from the input to the sample."


def render() -> None:
    """Draw the page."""
    model, entry, seed = header.begin_measuring(TITLE, WHAT)
    prompt = header.prompt_input(model, entry)
    left, right = st.columns([1, 3])
    with left:
        mode = choice("Show", [STEPS, WHOLE], "mode", label_visibility="collapsed")
    with right.expander("Sampling: temperature, top-k, top-p", icon=":material/casino:"):
        options = {**token_sampling(), "seed": seed}
        length = linked(st.slider, "Tokens to generate at once", 1, 128, 40, key="length")
    if mode == WHOLE:
        whole_text(model, prompt, {**options, "max_new_tokens": length})
    else:
        _steps(model, prompt, options, length)


def _steps(model: LanguageModel, prompt: str, options: dict[str, Any], length: int) -> None:
    ids = model.to_tokens(prompt)[0][0].tolist()
    known_stages = stages(model.cfg.n_layers)
    here = walk((model.hash, prompt), model.cfg.d_vocab)
    here.settle(len(known_stages), model.cfg.n_ctx - len(ids))
    here.measure(model, ids)
    link(here, [stage.name for stage in known_stages])
    text = prompt + model.tokenizer.decode(list(here.path))
    how = {**options, "max_new_tokens": length}
    if over := _over(model, len(ids), here):
        stepper.buttons(model, ids, here, None, how)
        with st.container(border=True):
            st.text(text)
        st.info(over, icon=":material/flag:")
        stepper.branch_tree(model, here)
        return
    result = measurements.measured(
        "prediction", model, prompt=prompt, then=list(here.path), **options
    )
    stepper.stage_row(here, [stage.name for stage in known_stages])
    stepper.buttons(model, ids, here, result.chosen_id, how)
    stepper.card(here, result, text)
    stepper.branch_tree(model, here)
    _in_numbers(result, known_stages[here.stage])


def _in_numbers(result: Prediction, stage: PassStage) -> None:
    """The finding, the report and the downloads; the figure on request."""
    st.subheader("In numbers")
    as_figure = st.toggle("Show as a figure", key="as_figure", persist_state="session")
    picture = None if as_figure else (lambda: None)
    result_card.show(result, f"The next token: {stage.title}", picture=picture, view=stage.view)


def _over(model: LanguageModel, n_prompt: int, here: Walk) -> str:
    """Why no token can follow; empty while one can."""
    if here.path and here.path[-1] in model.ends:
        return "The text ends here. Go back, or choose another branch."
    if n_prompt >= model.cfg.n_ctx:
        return f"The prompt fills the context of {model.cfg.n_ctx} tokens. Give a shorter one."
    if n_prompt + len(here.path) >= model.cfg.n_ctx:
        return (
            f"The context of {model.cfg.n_ctx} tokens is full. Go back, or choose another branch."
        )
    return ""
