"""A prompt and its right answer, by default what the model gets most wrong."""

import math
from dataclasses import dataclass

import streamlit as st

from dashboards.page import header, measurements
from dashboards.page.link import linked
from dashboards.page.markdown import plain
from dashboards.page.model_list import Entry
from interp.core.display import percent
from interp.core.errors import TokenError
from interp.core.protocols import LanguageModel
from interp.methods.batches import nats_per_token
from interp.methods.data.answer_loss import PromptAnswer, questions_of
from interp.methods.prompts import answer_ids
from interp.worlds.world import World

TAKEN = "taken"
STORIES, MOST = 60, 8


def question_inputs(model: LanguageModel, entry: Entry) -> tuple[str, str]:
    """The prompt and its right answer; by default what the model gets most wrong.

    Raises:
        PageEnd: to look for mistakes costs too much to begin without asking.
    """
    world = header.world_of(entry)
    with measurements.within_cost("mistakes", model.hash):
        worst = [] if world is None else _mistakes(model.hash, model, world)
    by_words = {mistake.words: mistake for mistake in worst}
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
    text = header.prompt_area("Prompt", default[0], "lesson")
    header.tokens_of(model, text or "")
    answer = linked(
        st.text_input, "Right answer", default[1], key="right",
        placeholder="default: second most probable",
        help="Any answer can be taken as right, even a wrong one. The space before a word may be "
        "left out: the result shows the tokens that were read.",
    )  # fmt: skip
    return text, _readable(model, text or "", answer or "")


def _readable(model: LanguageModel, text: str, answer: str) -> str:
    """The answer, where it can be read; else it is refused beside the box, and none is taken."""
    if not answer.strip():
        return ""
    try:
        answer_ids(model.tokenizer, text, answer)
    except TokenError as refusal:
        st.warning(plain(str(refusal)), icon=":material/spellcheck:")
        return ""
    return answer


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A question, its right answer, and the probability that the model gives the answer's start."""

    text: str
    answer: str
    probability: float

    @property
    def words(self) -> str:
        """The mistake in a line, from a whole word on."""
        end = self.text[-48:]
        ending = end.partition(" ")[2] or end
        return f"… {ending} →{self.answer} ({percent(self.probability, 1)})"


@st.cache_resource(max_entries=8, show_spinner="Searching for mistakes of the model …")
def _mistakes(weights: str, _model: LanguageModel, _world: World) -> list[Mistake]:
    """The hardest questions of new compositions, the worst first."""
    questions: list[tuple[str, str, PromptAnswer]] = []
    split = header.splits_of(_world)[-1]
    for number in range(STORIES):
        questions += questions_of(_model, _world, number, split=split)
    rows = [(*pair.prompt, pair.answer[0]) for _, _, pair in questions]
    chances = [math.exp(-float(nats[-1])) for nats in nats_per_token(_model, rows)]
    pairs = sorted(zip(chances, questions, strict=True), key=lambda pair: pair[0])[:MOST]
    return [
        Mistake(text=text, answer=answer, probability=chance) for chance, (text, answer, _) in pairs
    ]
