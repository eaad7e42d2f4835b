"""A prompt and its right answer, by default what the model gets most wrong."""

import streamlit as st

from dashboards.page import header
from dashboards.page.model_list import Entry
from dashboards.stories.mistakes import mistakes
from interp.core.errors import TokenError
from interp.core.protocols import LanguageModel

TAKEN = "taken"


def question_inputs(model: LanguageModel, entry: Entry) -> tuple[str, str]:
    """The prompt and its right answer; by default what the model gets most wrong."""
    world = header.world_of(entry)
    known = {mistake.words: mistake for mistake in mistakes(model, world)}
    first = next(iter(known.values()), None)
    default = (first.text, first.answer) if first else (header.example(None, 0, 2), "")

    def take() -> None:
        chosen = known.get(st.session_state["mistake"])
        if chosen is not None:
            st.session_state["lesson"], st.session_state["right"] = chosen.text, chosen.answer
            st.session_state[TAKEN] = 0

    if known:
        told = "Hard questions of stories that put things together as no training story did, and "
        told += "the probability of the right answer."
        st.selectbox("What it gets wrong", list(known), key="mistake", on_change=take, help=told)
    text = st.text_area(
        "Prompt",
        default[0],
        key="lesson",
        height=100,
        max_chars=header.LONGEST_PROMPT,
        **header.LINK,
    )
    header.tokens_of(model, text or "")
    answer = st.text_input(
        "Right answer", default[1], key="right", placeholder="the model's own second choice",
        help="Any answer can be taught, also a wrong one.", **header.LINK,
    )  # fmt: skip
    return text, _spaced(model, text, answer or "")


def _spaced(model: LanguageModel, text: str, answer: str) -> str:
    """The answer with the space that stands before a word, where that can be read."""
    if not answer.strip() or answer[0].isspace() or text[-1:].isspace():
        return answer if answer.strip() else ""
    try:
        model.tokenizer.encode(f" {answer}", bos=False)
    except TokenError:
        return answer
    return f" {answer}"
