"""Questions whose answer an edit should change: where the words stand, and what is asked later."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.alignment import Span
from interp.core.edits import Add, Where
from interp.core.protocols import LanguageModel, Tokenizer
from interp.methods.activations import Site
from interp.methods.batches import TextBatch, read_texts
from interp.methods.data.examples import Example, fact_position
from interp.worlds.world import Fact, Question, Story

POSITIONS = {
    "told": "where it was said last",
    "named": "at the name in the question",
    "asked": "just before the answer",
}


@dataclass(frozen=True, kw_only=True)
class Item:
    """A story with a question about somebody's (or something's) value.

    Attributes:
        story: its number.
        text: up to the answer.
        tokens: of the whole story, as far as the model reads.
        about: whom the question is about.
        value: the true one.
        others: of the other variables, what is true of the same one when it is asked.
        positions: of `POSITIONS`, the tokens.
        elsewhere: the same for somebody else who has a value.
        answer: the first token of the right answer.
        later: questions that come after: the token before the answer, and the answer's first.
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


def find_items(
    tokenizer: Tokenizer, stories: Sequence[Story], variable: str, n_ctx: int
) -> list[Item]:
    """The first question for the variable that each story can answer, where it has one."""
    found = (
        _item(tokenizer, number, story, variable, n_ctx) for number, story in enumerate(stories)
    )
    return [item for item in found if item is not None]


def first_choices(
    model: LanguageModel,
    items: Sequence[Item],
    site: Site | None = None,
    vectors: Float[Tensor, "item d_model"] | None = None,
    positions: Sequence[int] = (),
) -> list[Int[Tensor, " pos"]]:
    """The most probable next token at every position of each story.

    Args:
        model: to ask.
        items: whose stories are read.
        site: where the vectors are added; None = read as they are.
        vectors: one an item.
        positions: at which token, one an item.
    """

    def edits(batch: TextBatch) -> list[Add]:
        numbers = list(batch.numbers)
        tokens = [positions[number] for number in numbers]
        return [_added(site, vectors[numbers], tokens, batch.tokens.shape[1])]

    return read_texts(
        model,
        [item.tokens for item in items],
        lambda batch, run: batch.unpadded(run.logits.argmax(-1)),
        edits=() if site is None else edits,
    )


def _item(
    tokenizer: Tokenizer, number: int, story: Story, variable: str, n_ctx: int
) -> Item | None:
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
    return Item(
        story=number,
        text=story.text[: fact.span[1]],
        tokens=tuple(ids),
        about=fact.about,
        value=fact.value,
        others={name: value for name, value in others.items() if name != variable},
        positions=_told(before, variable, fact.about, spans) | {"named": named, "asked": place},
        elsewhere=_somebody_else(story, before, fact, spans),
        answer=ids[place + 1],
        later=_later(story, fact, ids, spans),
    )


def _told(
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
    told = _told(before, asked.variable, other, spans)
    return told if named is None else told | {"named": named}


def _later(
    story: Story, asked: Fact, ids: Sequence[int], spans: Sequence[Span]
) -> tuple[tuple[int, int], ...]:
    """Questions after this one, but those with the same answer, which may depend on it."""
    words = next(q.answer for q in story.questions if _is_of(q, asked))
    found = []
    for question in story.questions:
        if question.span[0] <= asked.span[1] or question.answer == words:
            continue
        start = story.text.index(question.answer.strip(), question.span[1])
        first = next((i for i, (_, end) in enumerate(spans) if end > start), None)
        if first is not None:
            found.append((first - 1, ids[first]))
    return tuple(found)


def _is_of(question: Question, fact: Fact) -> bool:
    return (
        question.span[0] < fact.span[1]
        and question.about == fact.about
        and (question.kind == fact.variable)
    )


def _added(
    site: Site, vectors: Float[Tensor, "item d_model"], positions: Sequence[int], width: int
) -> Add:
    """One edit for the whole batch: each row's vector at its own token, nothing elsewhere."""
    filled = torch.zeros(len(vectors), width, vectors.shape[1])
    filled[torch.arange(len(vectors)), list(positions)] = vectors.float()
    return Add(hook=site, vector=filled, where=Where(positions=tuple(sorted(set(positions)))))
