"""What a model gets wrong: a world's questions with the least probable right answers first."""

import math
from dataclasses import dataclass

import streamlit as st

from dashboards.page import header
from interp.core.protocols import LanguageModel
from interp.methods.batches import nats_per_token
from interp.methods.data.answer_loss import PromptAnswer, questions_of
from interp.worlds.world import World

STORIES, MOST = 60, 8


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
        return f"… {ending} →{self.answer} ({self.probability:.1%})"


def mistakes(model: LanguageModel, world: World | None) -> list[Mistake]:
    """The hardest questions of new compositions, the worst first; none without a world."""
    return [] if world is None else _mistakes(model.hash, model, world)


@st.cache_resource(max_entries=8, show_spinner="Searching for mistakes of the model …")
def _mistakes(weights: str, _model: LanguageModel, _world: World) -> list[Mistake]:
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
