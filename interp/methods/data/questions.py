"""A story's questions as a reader meets them, and the rows of a table that they belong to.

Of tags it knows only `unknown`, `carried`, `moved`, and a split's own name on what only that split
can ask.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from interp.worlds.world import Question, Story

NEVER_SAID = "never_said"


@dataclass(frozen=True, kw_only=True)
class QuestionInContext:
    """One question, where its answer stands, and the words before it.

    Attributes:
        story: the number of the question's story.
        start: the first character of the answer.
        before: the words before the question.
        words: the question's own words.
        kind: the kind of question, as the world names it.
        answer: the true answer, without the space before it.
        unknown: whether the honest answer is that it was never said.
        guesses: what the world's own shortcuts would answer, by name.
        tags: the world's tags of the question.
    """

    story: int
    start: int
    before: tuple[str, ...]
    words: tuple[str, ...]
    kind: str
    answer: str
    unknown: bool
    guesses: Mapping[str, str]
    tags: tuple[str, ...]


def questions_in(stories: Sequence[Story]) -> list[QuestionInContext]:
    """Every question of the stories, in order."""
    return [
        _in_context(number, story.text, question)
        for number, story in enumerate(stories)
        for question in story.questions
    ]


def split_words(text: str) -> tuple[str, ...]:
    """Words and marks, whatever the tokenizer of a model makes of them.

    Example:
        >>> split_words("Where is Anna?")
        ('Where', 'is', 'Anna', '?')
    """
    return tuple(re.findall(r"\w+|[^\w\s]", text))


def unknown_answers(questions: Iterable[QuestionInContext]) -> frozenset[str]:
    """The answers that say that something was never said."""
    return frozenset(question.answer for question in questions if question.unknown)


def table_rows(
    questions: Sequence[QuestionInContext], split: str, order: Sequence[str] = ()
) -> dict[str, list[int]]:
    """Row names to the numbers of their questions; rows without questions are left out.

    A kind with carried things becomes `carried`, `carried_and_moved` and `dropped`. Questions whose
    answer was never said are in no row but `never_said`, which holds all questions. Where questions
    bear the split's own name as a tag, a row keeps only these: only they are new.

    Args:
        questions: the questions of one split.
        split: the split's name.
        order: kinds in the order of the rows; others follow as they come.
    """
    kinds = [*order, *(question.kind for question in questions)]
    with_carried = {question.kind for question in questions if "carried" in question.tags}
    rows: dict[str, list[int]] = {}
    for kind in dict.fromkeys(kinds):
        names = ("carried", "carried_and_moved", "dropped") if kind in with_carried else (kind,)
        rows |= {name: rows.get(name, []) for name in names}
        for i, question in enumerate(questions):
            if question.kind == kind and not question.unknown:
                for name in _row_names(question, kind in with_carried):
                    rows[name].append(i)
    rows = {name: _only_new(questions, own, split) for name, own in rows.items() if own}
    if len({question.unknown for question in questions}) == 2:
        rows[NEVER_SAID] = list(range(len(questions)))
    return rows


def _in_context(number: int, text: str, question: Question) -> QuestionInContext:
    start, end = question.span
    answer = question.answer.strip()
    return QuestionInContext(
        story=number,
        start=text.index(answer, end),
        before=split_words(text[:start]),
        words=split_words(text[start:end]),
        kind=question.kind,
        answer=answer,
        unknown="unknown" in question.tags,
        guesses={name: guess.strip() for name, guess in question.shortcuts.items()},
        tags=question.tags,
    )


def _row_names(question: QuestionInContext, may_be_carried: bool) -> list[str]:
    if not may_be_carried:
        return [question.kind]
    if "carried" not in question.tags:
        return ["dropped"]
    return ["carried"] + ["carried_and_moved"] * ("moved" in question.tags)


def _only_new(questions: Sequence[QuestionInContext], own: list[int], split: str) -> list[int]:
    return [i for i in own if split in questions[i].tags] or own
