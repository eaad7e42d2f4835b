"""A story of the village heard sentence by sentence: what each one says, and what is true then."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from interp.core.errors import WorldError
from interp.worlds.village import (
    ANSWERS,
    FORMS,
    QUESTIONS,
    SHOWS,
    SLOTS,
    STATED,
    State,
    objection,
    pieces,
)
from interp.worlds.world import Fact, Sentence, Span

NOBODY = "nobody"
"""Who holds what was dropped."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One sentence as it was understood, before it becomes true.

    Attributes:
        span: characters of the sentence.
        form: name of its form in the grammar; empty when it has none.
        slots: the value of each slot of the form, by its name.
        spans: the characters that each slot's value fills.
    """

    span: Span
    form: str
    slots: Mapping[str, str]
    spans: Mapping[str, Span]


def replay(text: str) -> tuple[Fact, ...]:
    """What is true along any text that is true to the village: the facts of `Story`, without tags.

    Raises:
        WorldError: a sentence that is none of the grammar's, or not true of the story so far, or
            that does not end; says which and why.
    """
    state, facts, ends = State(), [], 0
    for number, heard in enumerate(sentences(text), 1):
        if not heard.form or (why := objection(state, heard.form, heard.slots)):
            why = why if heard.form else "no sentence of this world reads so"
            raise WorldError(
                f"Sentence {number}, {text[slice(*heard.span)][:80]!r}, is not true to this world: "
                f"{why}. Change it, or begin from one of the world's own stories."
            )
        waiting = state.waiting
        state.apply(heard.form, heard.slots)
        if not (waiting and heard.form in ANSWERS):
            facts += noted(state, heard.form, heard.slots, heard.spans, heard.span[1])
        if heard.form in QUESTIONS:
            facts += _asked(state, heard.span[1])
        ends = heard.span[1]
    if not text.strip():
        raise WorldError("A story needs one sentence or more; got none. Write one.")
    if rest := text[ends:].strip():
        raise WorldError(
            f"Each sentence ends with '.' or '?'; the last words, {rest[:80]!r}, do not. End them."
        )
    return tuple(facts)


def noted(
    state: State, form: str, slots: Mapping[str, str], spans: Mapping[str, Span], end: int
) -> list[Fact]:
    """What a sentence that has just become true stated, and what is true at its end.

    Args:
        state: after the sentence.
        form: name of the sentence's form.
        slots: the value of each slot of the form, by its name.
        spans: the characters that each slot's value fills.
        end: one after the sentence's last character.
    """
    facts, about = [], slots.get("person", "")
    for slot, span in spans.items():
        if slot in STATED:
            value = SHOWS[slots["verb"]] if slot == "word" else slots[slot]
            value = SHOWS[value] if slot == "manner" else value
            who = slots["word"] if slot == "word" else about
            facts.append(Fact(span=span, variable=STATED[slot], value=value, about=who))
    if form in QUESTIONS:
        return facts
    places = {thing: place for thing in state.holder if (place := state.place_of(thing))}
    holders = {thing: holder or NOBODY for thing, holder in state.holder.items()}
    now = {"place": state.place, "mood": state.mood, "holder": holders, "object_place": places}
    facts += [
        Fact(span=(end - 1, end), variable=variable, value=value, about=about, role="state")
        for variable, values in now.items()
        for about, value in values.items()
    ]
    return facts


def sentences(text: str) -> Iterator[Heard]:
    """The finished sentences of any text, at the full level of the grammar."""
    start = 0
    for mark in re.finditer("[.?]", text):
        sentence = text[start : mark.end()].lstrip()
        start = mark.end()
        begins = start - len(sentence)
        matches = ((form, _pattern(form).fullmatch(sentence)) for form in FORMS)
        form, match = next(((form, match) for form, match in matches if match), ("", None))
        slots = match.groupdict() if match else {}
        spans = {s: (begins + match.start(s), begins + match.end(s)) for s in slots}
        yield Heard(span=(begins, start), form=form, slots=slots, spans=spans)


def judged(state: State, heard: Heard, text: str) -> Sentence:
    """A sentence judged against the story so far; then it becomes true.

    Args:
        state: before the sentence; changed by it.
        heard: the sentence.
        text: the text that it stands in.
    """
    if not heard.form:
        why = f"no sentence of this world reads {text[slice(*heard.span)]!r}"
        return Sentence(
            span=heard.span, well_formed=False, consistent=None, kind="unknown", why=why
        )
    why = objection(state, heard.form, heard.slots)
    state.apply(heard.form, heard.slots)
    return Sentence(
        span=heard.span,
        well_formed=True,
        consistent=not why,
        kind=heard.form,
        concepts=tuple(SHOWS.get(value, value) for value in heard.slots.values()),
        why=why,
    )


def _asked(state: State, end: int) -> list[Fact]:
    """The honest answer to the question that was just asked; none where nobody knows."""
    form, about = state.asked[-1]
    answer, value = state.answer(form, about)
    if not value:
        return []
    known = value if answer == "is_person" else value.lower()
    variable = QUESTIONS[form][0]
    return [Fact(span=(end - 1, end), variable=variable, value=known, about=about, role="asked")]


@cache
def _pattern(form: str) -> re.Pattern[str]:
    parts = []
    for literal, slot in pieces(form, "full"):
        values = "|".join(map(re.escape, SLOTS.get(slot, ())))
        parts += [re.escape(literal), f"(?P<{slot}>{values})" if slot else ""]
    return re.compile("".join(parts).removeprefix(re.escape(" ")))
