"""What a model gets wrong: a world's questions with the least probable right answers first."""

from dataclasses import dataclass

import streamlit as st
import torch

from dashboards.page import header
from interp.core.protocols import LanguageModel
from interp.methods.data.answer_loss import PromptAnswer, questions_of
from interp.worlds.world import World

STORIES, MOST, TOGETHER = 60, 8, 32


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
    chances: list[float] = []
    for start in range(0, len(questions), TOGETHER):
        batch = [pair for _, _, pair in questions[start : start + TOGETHER]]
        logits = _model.run([list(pair.prompt) for pair in batch]).logits[:, -1]
        first = torch.tensor([pair.answer[0] for pair in batch], device=logits.device)
        chances += logits.softmax(-1).gather(-1, first[:, None])[:, 0].tolist()
    pairs = sorted(zip(chances, questions, strict=True), key=lambda pair: pair[0])[:MOST]
    return [
        Mistake(text=text, answer=answer, probability=chance) for chance, (text, answer, _) in pairs
    ]
