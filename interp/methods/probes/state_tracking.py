"""What is true of whom at each token of a story, and what the text does there."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from interp.core.alignment import Span
from interp.core.errors import ConfigError, near_misses
from interp.core.protocols import Tokenizer
from interp.methods.data.examples import Example, fact_position
from interp.worlds.world import Fact

WHERE = {
    "asked": "just before the answer about it",
    "named": "at its name",
    "told": "where it is said",
    "after": "later in a sentence that names it",
    "elsewhere": "in a sentence that does not name it",
}
"""What the text does at a token, seen from somebody or something; the first that fits."""
PLACES = tuple(WHERE)
UNKNOWN = -1


@dataclass(frozen=True, kw_only=True)
class Track:
    """A story with a variable's true value at each token.

    Attributes:
        ids: token ids of the story.
        about: whom or what the variable is about, in order of appearance.
        truth: the value's number, from the token on at which the text determines it; -1 before.
        where: what the text does at the token: a number into `PLACES`.
    """

    ids: tuple[int, ...]
    about: tuple[str, ...]
    truth: Int[Tensor, "entity pos"]
    where: Int[Tensor, "entity pos"]

    @property
    def settled(self) -> int:
        """How many tokens it takes until something is true."""
        known = torch.nonzero((self.truth != UNKNOWN).any(0)).flatten()
        return int(known[0]) + 1 if len(known) else len(self.ids)

    def cells(self, story: int, classes: Sequence[str]) -> list[Example]:
        """Every token at which a value is true, as an example whose kind is its decoder's name."""
        grids = zip(self.about, self.truth.tolist(), self.where.tolist(), strict=True)
        return [
            Example(
                tokens=self.ids[: pos + 1],
                label=classes[value],
                story=story,
                kind=decoder_name(PLACES[place], who),
                about=who,
            )
            for who, values, places in grids
            for pos, (value, place) in enumerate(zip(values, places, strict=True))
            if value != UNKNOWN
        ]


def decoder_name(place: str, about: str) -> str:
    """Which classifier reads there: the text names whom it is about, or there is one for each.

    Example:
        >>> decoder_name("named", "Anna"), decoder_name("elsewhere", "Anna")
        ('named', 'elsewhere: Anna')
    """
    return f"{place}: {about}" if place == "elsewhere" else place


def state_variables(facts: Iterable[Fact]) -> list[str]:
    """The variables that hold on from sentence to sentence."""
    return sorted({fact.variable for fact in facts if fact.role == "state"})


def check_holds_on(variable: str, known: Sequence[str]) -> None:
    """Refuse what is said once and then is no state: nothing would be true between.

    Args:
        variable: that is asked for.
        known: those that hold on, see `state_variables`.
    Raises:
        ConfigError: it does not hold on; the nearest that do are shown.
    """
    if variable not in known:
        raise ConfigError(
            "Reading along needs a variable that holds on from sentence to sentence; got "
            f"{variable!r}.{near_misses(variable, known)}"
        )


def track(
    tokenizer: Tokenizer,
    text: str,
    facts: Iterable[Fact],
    sentences: Sequence[Span],
    variable: str,
    classes: Sequence[str],
) -> Track:
    """Follow a variable through a story, token by token.

    Args:
        tokenizer: of the model that will read it.
        text: the story.
        facts: the whole truth of the story.
        sentences: the characters of each sentence.
        variable: as facts name it.
        classes: values of the variable.
    """
    ids, spans = tokenizer.encode_with_spans(text)
    facts = [fact for fact in facts if fact.variable == variable]
    placed = sorted(
        ((fact_position(fact, spans), fact) for fact in facts if fact.role != "asked"),
        key=lambda pair: pair[0],
    )
    about = tuple(dict.fromkeys(fact.about for _, fact in placed))
    truth = torch.full((len(about), len(ids)), UNKNOWN)
    where = torch.stack([_where(text, spans, sentences, who) for who in about] or [truth[0:0]])
    for pos, fact in placed:
        row, value = about.index(fact.about), classes.index(fact.value)
        if fact.role == "stated" or truth[row, pos] != value:
            where[row, pos] = PLACES.index("told")
        truth[row, pos:] = value
    for fact in facts:
        if fact.role == "asked" and fact.about in about:
            where[about.index(fact.about), fact_position(fact, spans)] = PLACES.index("asked")
    return Track(ids=tuple(ids), about=about, truth=truth, where=where.view_as(truth))


def _where(
    text: str, spans: Sequence[Span], sentences: Sequence[Span], who: str
) -> Int[Tensor, " pos"]:
    """At its name, after it, or elsewhere; what is about nobody is spoken of everywhere."""
    if not who:
        return torch.full((len(spans),), PLACES.index("after"))
    names = [match.end() for match in re.finditer(rf"(?<!\w){re.escape(who)}(?!\w)", text)]
    where = torch.full((len(spans),), PLACES.index("elsewhere"))
    ends = torch.tensor([end for _, end in spans])
    starts = torch.tensor([start for start, _ in spans])
    for start, end in sentences:
        inside = [name for name in names if start < name <= end]
        if inside:
            where[(ends >= inside[0]) & (ends <= end)] = PLACES.index("after")
    for name in names:
        where[(starts < name) & (name <= ends)] = PLACES.index("named")
    return where
