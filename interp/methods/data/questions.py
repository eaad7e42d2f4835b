"""A story's questions as a reader meets them, and the rows of a table that they belong to.

Of tags it knows only `unknown`, `carried`, `moved`, what happened to a thing (`handed_over`,
`retaken`, `left`, `moves=2`), and a split's own name on what only that split can ask.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from interp.core.errors import WorldError
from interp.worlds.world import Question, Story, World

NEVER_SAID = "never_said"
WHOLE = ("train", "held_out")
"""Splits whose every question counts; in any other only those that are new there."""
PARTS = ("carried", "carried_and_moved", "dropped")
"""Rows of the parts of a kind that asks where things are."""
EVENTS = {"handed_over": "handed_over", "retaken": "retaken", "dropped_and_left": "left"}
"""Rows of what happened to a thing, and the tag of each."""
MOVES = {"moved_once": range(1, 2), "moved_twice": range(2, 3), "moved_more": range(3, 100)}
"""Rows of how often a thing came to another place with whoever took it."""


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
        rules: what each rule that skips the story answers, by its words; see
            `worlds/skimming.py`.
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
    rules: Mapping[str, str] = field(default_factory=dict)


def questions_in(stories: Sequence[Story], world: World | None = None) -> list[QuestionInContext]:
    """Every question of the stories, in order.

    Args:
        stories: the stories.
        world: that told them; where it has `shortcut_rules`, each question gets them.
    Raises:
        WorldError: the world does not give rules for each question.
    """
    return [
        _in_context(number, story.text, question, rules)
        for number, story in enumerate(stories)
        for question, rules in zip(story.questions, _rules(story, world), strict=True)
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

    A kind with carried things has rows of its parts beside its own: `carried`, `carried_and_moved`
    and `dropped`. What is right in all of one part may still be a rule that fails in another, so
    the row that tells is that of the whole kind. Questions whose
    answer was never said are in no row but `never_said`, which holds all questions. In a split that
    is not one of `WHOLE` every row holds only the questions that bear the split's name as a tag,
    for only they are new; rows without any, and `never_said`, are left out there.

    Args:
        questions: the questions of one split.
        split: the split's name.
        order: kinds in the order of the rows; others follow as they come.
    """
    kinds = [*order, *(question.kind for question in questions)]
    with_carried = {question.kind for question in questions if "carried" in question.tags}
    rows: dict[str, list[int]] = {}
    for kind in dict.fromkeys(kinds):
        names = (kind, *PARTS) if kind in with_carried else (kind,)
        rows |= {name: rows.get(name, []) for name in names}
        for i, question in enumerate(questions):
            if question.kind == kind and not question.unknown:
                for name in (kind, *(_parts_of(question) if kind in with_carried else ())):
                    rows[name].append(i)
    if split not in WHOLE:
        rows = {n: [i for i in own if split in questions[i].tags] for n, own in rows.items()}
    elif len({question.unknown for question in questions}) == 2:
        rows[NEVER_SAID] = list(range(len(questions)))
    return {name: own for name, own in rows.items() if own}


def event_rows(questions: Sequence[QuestionInContext]) -> dict[str, list[int]]:
    """Rows of what happened to the thing that is asked for, to the numbers of their questions.

    They part who follows the story from who looks up one mention of the thing: `EVENTS`, and
    `MOVES`, where it is carried by who took it. Where its holder is asked only the first two,
    `holder_handed_over` …: who has what lies somewhere is no riddle.
    """
    with_carried = {question.kind for question in questions if "carried" in question.tags}
    kinds = sorted({q.kind for q in questions}, key=lambda kind: (kind not in with_carried, kind))
    prefixes = {kind: "" if kind in with_carried else f"{kind}_" for kind in kinds}
    rows = {f"{prefix}{row}": [] for prefix in prefixes.values() for row in (*EVENTS, *MOVES)}
    for i, question in enumerate(questions):
        own = [] if question.unknown else _events_of(question)
        for row in own if question.kind in with_carried else {*own} & {"handed_over", "retaken"}:
            rows[prefixes[question.kind] + row].append(i)
    return {name: own for name, own in rows.items() if own}


def is_part(row: str) -> bool:
    """Whether a row holds part of the questions of a kind, of which another row holds all.

    Example:
        >>> is_part("carried"), is_part("holder_handed_over"), is_part("holder")
        (True, True, False)
    """
    return row in PARTS or row.endswith((*EVENTS, *MOVES))


def is_rare(tags: Sequence[str], split: str) -> bool:
    """Whether a question of a split is rare: its row is one of `event_rows`, or new there."""
    if split not in WHOLE:
        return split in tags
    often = {"moves=0", "moves=1"}
    return any(tag in EVENTS.values() or tag.startswith("moves=") for tag in set(tags) - often)


def _rules(story: Story, world: World | None) -> Sequence[Mapping[str, str]]:
    rules_of = getattr(world, "shortcut_rules", None)
    if rules_of is None:
        return ({},) * len(story.questions)
    rules = tuple(rules_of(story))
    if len(rules) != len(story.questions):
        raise WorldError(
            f"A world's shortcut_rules must give one mapping a question, {len(story.questions)}; "
            f"got {len(rules)}."
        )
    return rules


def _in_context(
    number: int, text: str, question: Question, rules: Mapping[str, str]
) -> QuestionInContext:
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
        rules={rule: guess.strip() for rule, guess in rules.items()},
    )


def _events_of(question: QuestionInContext) -> list[str]:
    rows = [row for row, tag in EVENTS.items() if tag in question.tags]
    if "carried" in question.tags and "handed_over" not in question.tags:
        moves = [int(tag[6:]) for tag in question.tags if tag.startswith("moves=")]
        rows += [row for row, numbers in MOVES.items() if moves and moves[0] in numbers]
    return rows


def _parts_of(question: QuestionInContext) -> list[str]:
    if "carried" not in question.tags:
        return ["dropped"]
    return ["carried"] + ["carried_and_moved"] * ("moved" in question.tags)
