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
    by_words = {mistake.words: mistake for mistake in mistakes(model, world)}
    first = next(iter(by_words.values()), None)
    default = (first.text, first.answer) if first else (header.example(None, 0, 2), "")

    def take() -> None:
        mistake = by_words.get(st.session_state["mistake"])
        if mistake is not None:
            st.session_state["lesson"], st.session_state["right"] = mistake.text, mistake.answer
            st.session_state[TAKEN] = 0

    if by_words:
        help_text = (
            "The questions with the least probable right answers, from stories that combine things "
            "as no training story did; with the probability of the right answer."
        )
        st.selectbox(
            "Mistakes of the model", list(by_words), key="mistake", on_change=take, help=help_text
        )
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
        "Right answer", default[1], key="right", placeholder="default: second most probable",
        help="Any answer can be taken as right, even a wrong one.", **header.LINK,
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
