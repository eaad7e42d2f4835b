"""Which stories and questions comprehension is measured on, and the rows that they belong to."""

from collections.abc import Sequence
from itertools import islice

from interp.core.errors import NotEnoughDataError
from interp.core.protocols import LanguageModel
from interp.methods.data.answers import StoryPrediction, right_answers
from interp.methods.data.questions import (
    WHOLE,
    QuestionInContext,
    event_rows,
    is_rare,
    questions_in,
    table_rows,
)
from interp.worlds.world import Story, World

EVENTFUL_FROM = 10**9
"""Their numbers begin beyond those of `sample_stories`."""


def eventful_stories(world: World, n: int, seed: int, level: str, split: str) -> list[Story]:
    """The first `n` stories of rare events that are asked about, where the world tells such.

    Their numbers no other seed shares; of ten times as many perhaps none asks.
    """
    tell = getattr(world, "sample_eventful", None)
    first = EVENTFUL_FROM + seed * 1_000_000
    numbers = range(first, first + 10 * n) if tell else ()
    stories = (tell(number, level=level, split=split) for number in numbers)
    return list(islice((s for s in stories if any(is_rare(q.tags, split) for q in s.questions)), n))


def rows_of(
    questions: Sequence[QuestionInContext], n_stories: int, split: str, order: Sequence[str]
) -> dict[str, list[int]]:
    """Rows to the numbers of their questions, which lie in the stories' order."""
    if split not in WHOLE:
        return table_rows(questions, split, order)
    as_told = [question for question in questions if question.story < n_stories]
    return table_rows(as_told, split, order) | event_rows(questions)


def asked_questions(world: World, stories: Sequence[Story], split: str) -> list[QuestionInContext]:
    """The questions of these stories, with what every rule answers where the world says that.

    Raises:
        NotEnoughDataError: there are none.
    """
    questions = questions_in(stories, world)
    if not questions:
        raise NotEnoughDataError(
            f"Comprehension needs stories with questions; world {world.name!r} asks none in its "
            f"{split!r} stories. Take a world that asks (`stories`), or another level."
        )
    return questions


def questions_within(
    model: LanguageModel,
    world: World,
    sampled: dict[str, list[Story]],
    predictions: dict[str, list[StoryPrediction]],
    splits: Sequence[str],
) -> tuple[dict[str, list[QuestionInContext]], int]:
    """Each split's questions inside the model's context, and how many are not."""
    within, beyond = {}, 0
    for split in splits:
        questions = asked_questions(world, sampled[split], split)
        marks = right_answers(predictions[split], questions)
        within[split] = [q for q, mark in zip(questions, marks, strict=True) if mark is not None]
        beyond += len(questions) - len(within[split])
        if not within[split]:
            raise NotEnoughDataError(
                f"None of the {len(questions)} questions of the {split!r} stories lies within the "
                f"model's context of {model.cfg.n_ctx} tokens. Take a model with a longer one, or "
                "an easier level."
            )
    return within, beyond
