"""Questions whose answer an edit should change: where the words stand, and what is asked later."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.alignment import Span
from interp.core.edits import Add, Where
from interp.core.protocols import LanguageModel, Run, Tokenizer
from interp.methods.activations import Site
from interp.methods.batches import TextBatch, TokenValues, read_texts
from interp.methods.data.examples import Example, fact_position
from interp.worlds.world import Fact, Question, Story

POSITIONS = {
    "told": "where it was said last",
    "named": "at the name in the question",
    "asked": "just before the answer",
}


@dataclass(frozen=True, kw_only=True)
class StateQuestion:
    """A story with a question about somebody's (or something's) value.

    Attributes:
        story: number of the story.
        text: the story up to the answer.
        tokens: ids of the whole story, as far as the model reads.
        about: whom the question is about.
        value: the true value.
        others: by other variable, the true value of the same person or thing when it is asked.
        positions: by name in `POSITIONS`, the token.
        elsewhere: by name in `POSITIONS`, the token for somebody else who has a value.
        answer: id of the first token of the right answer.
        later: of each question that comes after, the position before its answer and the id of the
            answer's first token.
    """

    story: int
    text: str
    tokens: tuple[int, ...]
    about: str
    value: str
    others: Mapping[str, str]
    positions: Mapping[str, int]
    elsewhere: Mapping[str, int]
    answer: int
    later: tuple[tuple[int, int], ...]

    def example(self, position: str, label: str) -> Example:
        """What a causal model knows at that token, under a label."""
        tokens = self.tokens[: self.positions[position] + 1]
        return Example(tokens=tokens, label=label, story=self.story, kind=self.about)


def find_questions(
    tokenizer: Tokenizer, stories: Sequence[Story], variable: str, n_ctx: int
) -> list[StateQuestion]:
    """The first question for the variable that each story can answer, where it has one."""
    questions = (
        _question(tokenizer, number, story, variable, n_ctx) for number, story in enumerate(stories)
    )
    return [question for question in questions if question is not None]


def first_choices(
    model: LanguageModel,
    questions: Sequence[StateQuestion],
    site: Site | None = None,
    vectors: Float[Tensor, "question d_model"] | None = None,
    positions: Sequence[int] = (),
) -> list[Int[Tensor, " pos"]]:
    """The most probable next token at every position of each story.

    Args:
        model: to ask.
        questions: whose stories are read.
        site: where the vectors are added; None = read as they are.
        vectors: one a question.
        positions: at which token, one a question.
    """
    rows = [question.tokens for question in questions]
    choices = TokenValues(rows)

    def read(batch: TextBatch, run: Run) -> None:
        choices.put(batch, run.logits.argmax(-1))

    def edits(batch: TextBatch) -> list[Add]:
        if site is None:
            return []
        numbers = list(batch.numbers)
        tokens = [positions[number] for number in numbers]
        return [_added(site, vectors[numbers], tokens, batch.tokens.shape[1])]

    read_texts(model, rows, read, edits=edits)
    return choices.rows


def _question(
    tokenizer: Tokenizer, number: int, story: Story, variable: str, n_ctx: int
) -> StateQuestion | None:
    ids, spans = tokenizer.encode_with_spans(story.text)
    ids, spans = ids[:n_ctx], spans[:n_ctx]
    asked = [fact for fact in story.facts if fact.role == "asked"]
    fact = next((each for each in asked if each.variable == variable), None)
    place = None if fact is None else fact_position(fact, spans)
    if fact is None or place is None or place + 1 >= len(ids) or fact.span[1] > spans[-1][1]:
        return None
    before = [each for each in story.facts if each.span[1] <= fact.span[1] and each is not fact]
    named = _last_name(story.text[: fact.span[1]], fact.about, spans)
    if named is None:
        return None
    others = {e.variable: e.value for e in before if e.about == fact.about}
    return StateQuestion(
        story=number,
        text=story.text[: fact.span[1]],
        tokens=tuple(ids),
        about=fact.about,
        value=fact.value,
        others={name: value for name, value in others.items() if name != variable},
        positions=_statement(before, variable, fact.about, spans)
        | {"named": named, "asked": place},
        elsewhere=_somebody_else(story, before, fact, spans),
        answer=ids[place + 1],
        later=_later(story, fact, ids, spans),
    )


def _statement(
    facts: Sequence[Fact], variable: str, about: str, spans: Sequence[Span]
) -> dict[str, int]:
    """Where the value was stated last; nothing where no word states it."""
    stated = [f for f in facts if (f.variable, f.about, f.role) == (variable, about, "stated")]
    return {"told": fact_position(stated[-1], spans)} if stated else {}


def _last_name(text: str, about: str, spans: Sequence[Span]) -> int | None:
    """The token of the last mention."""
    ends = [match.end() for match in re.finditer(rf"(?<!\w){re.escape(about)}(?!\w)", text)]
    inside = (i for i, (start, end) in enumerate(spans) if ends and start < ends[-1] <= end)
    return next(inside, None) if about else None


def _somebody_else(
    story: Story, before: Sequence[Fact], asked: Fact, spans: Sequence[Span]
) -> dict[str, int]:
    """The last mention of another who has such a value, and where that was said."""
    known = [f.about for f in before if f.variable == asked.variable and f.about != asked.about]
    if not known:
        return {}
    other = known[-1]
    named = _last_name(story.text[: asked.span[1]], other, spans)
    positions = _statement(before, asked.variable, other, spans)
    return positions if named is None else positions | {"named": named}


def _later(
    story: Story, asked: Fact, ids: Sequence[int], spans: Sequence[Span]
) -> tuple[tuple[int, int], ...]:
    """Questions after this one, but those with the same answer, which may depend on it."""
    answer = next(q.answer for q in story.questions if _is_of(q, asked))
    places = []
    for other in story.questions:
        if other.span[0] <= asked.span[1] or other.answer == answer:
            continue
        start = story.text.index(other.answer.strip(), other.span[1])
        first = next((i for i, (_, end) in enumerate(spans) if end > start), None)
        if first is not None:
            places.append((first - 1, ids[first]))
    return tuple(places)


def _is_of(asked: Question, fact: Fact) -> bool:
    return (
        asked.span[0] < fact.span[1] and asked.about == fact.about and asked.kind == fact.variable
    )


def _added(
    site: Site, vectors: Float[Tensor, "question d_model"], positions: Sequence[int], width: int
) -> Add:
    """One edit for the whole batch: each row's vector at its own token, nothing elsewhere."""
    by_position = torch.zeros(len(vectors), width, vectors.shape[1])
    by_position[torch.arange(len(vectors)), list(positions)] = vectors.float()
    return Add(hook=site, vector=by_position, where=Where(positions=tuple(sorted(set(positions)))))
