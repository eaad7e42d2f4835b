"""How a text world is told, read back and priced: one walk, whoever guides it.

A world writes its text through a `Telling`: `write` for words that leave no choice, `pick` where
there is one. Every choice is the next thing the reader sees, so the price of each word is exact.
"""

import math
import random
import re
from bisect import bisect
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from itertools import accumulate
from typing import Protocol

from interp.core.errors import WorldError
from interp.worlds.world import Choice, Event, Fact, Question, Story

Options = Mapping[str, float]
"""Phrases and their weights; no phrase begins with all the words of another."""


def uniform(values: Iterable[str]) -> dict[str, float]:
    """Equal weights."""
    return dict.fromkeys(values, 1.0)


@cache
def words(phrase: str) -> tuple[str, ...]:
    """A phrase in words and marks, each with the space before it.

    Example:
        >>> words(" is in the garden.")
        (' is', ' in', ' the', ' garden', '.')
    """
    return tuple(re.findall(r" ?\w+| ?[^\w\s]", phrase))


class Guide(Protocol):
    """Who makes the choices of a telling."""

    def choose(self, options: Options, position: int) -> str:
        """One of the phrases offered for the text at `position`."""

    def expect(self, literal: str, position: int) -> None:
        """Words that leave no choice."""

    def end(self, position: int) -> None:
        """The text ends here."""


class Storyteller:
    """Draws by weight; the same key draws the same text."""

    def __init__(self, key: str) -> None:
        self._random = random.Random(key).random

    def choose(self, options: Options, position: int) -> str:
        """A phrase drawn by weight."""
        ends, number = list(accumulate(options.values())), self._random()
        return list(options)[bisect(ends, number * ends[-1], 0, len(ends) - 1)]

    def expect(self, literal: str, position: int) -> None:
        """Nothing to check: the text is being made."""

    def end(self, position: int) -> None:
        """Nothing to check."""


class Reader:
    """Follows a given text, and refuses where it departs from what can be told."""

    def __init__(self, text: str) -> None:
        self._text = text

    def choose(self, options: Options, position: int) -> str:
        """The phrase on offer that stands here.

        Raises:
            WorldError: none of them does.
        """
        for phrase in options:
            if self._stands(phrase, position) and options[phrase] > 0:
                return phrase
        raise self._departure(list(options), position)

    def expect(self, literal: str, position: int) -> None:
        """Check that the words stand here."""
        if not self._stands(literal, position):
            raise self._departure([literal], position)

    def end(self, position: int) -> None:
        """Check that nothing follows."""
        if position != len(self._text):
            raise self._departure(["the end of the text"], position)

    def _stands(self, phrase: str, position: int) -> bool:
        end = position + len(phrase)
        cut = phrase[-1:].isalnum() and self._text[end : end + 1].isalnum()
        return self._text.startswith(phrase, position) and not cut

    def _departure(self, options: list[str], position: int) -> WorldError:
        rest = self._text[position : position + 24] or "the end of the text"
        some = ", ".join(repr(option) for option in sorted(options)[:6])
        return WorldError(
            f"This world cannot have told the text: at character {position} it needs "
            f"{'one of ' if len(options) > 1 else ''}{some}; there stands {rest!r}."
        )


class Telling:
    """The text so far, what each of its choices cost, and what the world notes of it on the way."""

    def __init__(self, guide: Guide) -> None:
        self._guide = guide
        self.text = ""
        self.choices: list[Choice] = []
        self.facts: list[Fact] = []
        self.questions: list[Question] = []
        self.events: list[Event] = []

    def story(self, level: str, seed: int | None) -> Story:
        """All that was told, as a document.

        Args:
            level: level of difficulty.
            seed: number of the document; None for a text that was only read.
        """
        return Story(
            text=self.text,
            facts=tuple(self.facts),
            choices=tuple(self.choices),
            questions=tuple(self.questions),
            events=tuple(self.events),
            level=level,
            seed=seed,
        )

    def write(self, literal: str) -> None:
        """Words that leave no choice."""
        self._guide.expect(literal, len(self.text))
        self.text += literal

    def pick(self, kind: str, options: Options, weight: float = 1.0) -> str:
        """Choose a phrase and write it; `weight` is what its words count in training."""
        phrase = self._guide.choose(options, len(self.text))
        self._price(kind, options, phrase, weight)
        self.text += phrase
        return phrase

    def _price(self, kind: str, options: Options, phrase: str, weight: float) -> None:
        if len(options) == 1 and weight == 1.0:
            return
        here = len(self.text)
        prices = _prices(tuple(options), tuple(options.values()), phrase)
        self.choices += [
            Choice(
                span=(here + start, here + end),
                surprisal_nats=surprisal,
                entropy_nats=entropy,
                kind=kind,
                weight=weight,
            )
            for start, end, surprisal, entropy, is_open in prices
            if is_open or weight != 1.0
        ]


@lru_cache(maxsize=2**15)
def _prices(
    options: tuple[str, ...], weights: tuple[float, ...], phrase: str
) -> tuple[tuple[int, int, float, float, bool], ...]:
    """Each word's place in the phrase, surprisal and entropy, and whether it was a choice."""
    # Phrases share first words (" goes to the", " goes home"), so a phrase is revealed word by
    # word: the share of the weight that goes on with each word is its probability, and the product
    # of these shares is the phrase's own.
    still_open = [(words(option), p) for option, p in zip(options, weights, strict=True)]
    prices, start = [], 0
    for depth, word in enumerate(words(phrase)):
        mass: dict[str, float] = {}
        for option, p in still_open:
            mass[option[depth]] = mass.get(option[depth], 0.0) + p
        total, end = sum(mass.values()), start + len(word)
        shares = [p / total for p in mass.values() if p]
        entropy = -sum(p * math.log(p) for p in shares)
        prices.append((start, end, math.log(total / mass[word]), entropy, len(mass) > 1))
        if len(mass) > 1:
            still_open = [branch for branch in still_open if branch[0][depth] == word]
        start = end
    return tuple(prices)
