"""Sequences made by a rule: a random block said over and over, and sums modulo a number."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from interp.worlds.sequences import SequenceWorld
from interp.worlds.world import Fact, Parse, Question, Span

_SURE = 0.99


class Repeats(SequenceWorld):
    """A block of random symbols, repeated to the end: what induction heads are good for.

    Args:
        n_symbols: each as likely as any other, at every place of the block.
        length: symbols in a document.
        periods: shortest and longest block, each length as likely.
    """

    def __init__(
        self, n_symbols: int = 64, length: int = 64, periods: tuple[int, int] = (10, 32)
    ) -> None:
        syllables = [c + v for c in "bdfghjklmnprstvwz" for v in "aeiou"]
        super().__init__("repeats", syllables[:n_symbols], length=length, prefix_length=4)
        self.periods = np.arange(periods[0], periods[1] + 1)
        self.variables: Mapping[str, tuple[str, ...]] = {"period": tuple(map(str, self.periods))}

    def draw(self, rng: np.random.Generator) -> tuple[list[int], list[int]]:
        """The block, repeated; nothing is hidden from one who reads to the end."""
        period = rng.choice(self.periods)
        block = rng.integers(len(self.symbols), size=period).tolist()
        return [block[i % period] for i in range(self.length)], []

    def price(self, sequence: Sequence[int]) -> list[tuple[float, float, str]]:
        """Exact: the reader weighs every period that the text so far allows."""
        prices, uniform = [], math.log(len(self.symbols))
        array = np.array(sequence, dtype=np.int64)
        for i, (symbol, weights) in enumerate(zip(sequence, self._weights(sequence), strict=True)):
            repeating = self.periods <= i
            if not repeating.any():
                prices.append((uniform, uniform, "new"))
                continue
            # Under a period that has come round the symbol is a copy; under a longer one it is
            # still part of the block, where all symbols are alike.
            copies = array[i - self.periods[repeating]]
            chances = np.bincount(copies, weights[repeating], minlength=len(self.symbols))
            chances += weights[~repeating].sum() / len(self.symbols)
            possible = chances[chances > 0]
            nats = -math.log(chances[symbol]) if chances[symbol] > 0 else math.inf
            kind = "copy" if weights[repeating].sum() > 0.5 else "new"
            prices.append((nats + 0.0, float(-(possible * np.log(possible)).sum()) + 0.0, kind))
        return prices

    def facts(
        self, sequence: Sequence[int], hidden: Sequence[int], spans: Sequence[Span]
    ) -> tuple[Fact, ...]:
        """The period, from where a reader is 99 % sure of it."""
        weights = self._weights([*sequence, 0])[1:]
        for span, weight in zip(spans, weights, strict=True):
            if weight.max() >= _SURE:
                period = str(self.periods[weight.argmax()])
                return (Fact(span=span, variable="period", value=period, role="state"),)
        return ()

    def _weights(self, sequence: Sequence[int]) -> list[np.ndarray]:
        """The probability of every period, before each symbol is read."""
        weights = np.full(len(self.periods), 1 / len(self.periods))
        before, array = [], np.array(sequence)
        for i, symbol in enumerate(sequence):
            before.append(weights)
            # Bayes: a period's weight grows by the probability that it gave the symbol.
            fits = np.full(len(self.periods), 1 / len(self.symbols))
            repeating = self.periods <= i
            fits[repeating] = array[i - self.periods[repeating]] == symbol
            total = (weights * fits).sum()
            weights = weights * fits / total if total > 0 else weights
        return before


class Modular(SequenceWorld):
    """One sum a document, ` 3 + 58 = 2`, modulo a prime: the grokking task.

    Which sums are held out depends on the unordered pair, so that a + b never helps with b + a. The
    operands are random and have weight 0 in training; only what follows them can be learnt.

    Args:
        modulus: the prime that sums are taken by.
        train_share: share of the pairs that training may show.
    Source:
        Power et al. 2022, "Grokking"; Nanda et al. 2023, "Progress measures for grokking".
    """

    kind = "equation"

    def __init__(self, modulus: int = 59, train_share: float = 0.4) -> None:
        numbers = tuple(map(str, range(modulus)))
        super().__init__(
            "modular",
            (*numbers, "+", "="),
            length=5,
            prefix_length=4,
            held_out_share=1 - train_share,
        )
        self.modulus = modulus
        self.variables: Mapping[str, tuple[str, ...]] = {"sum": numbers}

    def draw(self, rng: np.random.Generator) -> tuple[list[int], list[int]]:
        """A pair of operands, and their sum."""
        a, b = rng.integers(self.modulus, size=2).tolist()
        plus, equals = self._index["+"], self._index["="]
        return [a, plus, b, equals, (a + b) % self.modulus], []

    def prefix(self, sequence: Sequence[int]) -> tuple[int, ...]:
        """The two operands, the smaller one first."""
        return tuple(sorted(int(symbol) for symbol in sequence[:3:2]))

    def price(self, sequence: Sequence[int]) -> list[tuple[float, float, str]]:
        """The operands cost ln(modulus) each; nothing else is a choice."""
        free = math.log(self.modulus)
        prices: list[tuple[float, float, str]] = []
        for place, symbol in enumerate(sequence):
            allowed = self._allowed(place, sequence)
            nats = math.log(len(allowed)) if symbol in allowed else math.inf
            prices.append((nats, free if place in (0, 2) else 0.0, "answer"))
        return prices

    def weight(self, place: int) -> float:
        """0 for the operands."""
        return 0.0 if place in (0, 2) else 1.0

    def facts(
        self, sequence: Sequence[int], hidden: Sequence[int], spans: Sequence[Span]
    ) -> tuple[Fact, ...]:
        """The sum, where it is asked for."""
        if len(sequence) < 4:
            return ()
        value = str((sequence[0] + sequence[2]) % self.modulus)
        return (Fact(span=spans[3], variable="sum", value=value, role="asked"),)

    def questions(self, sequence: Sequence[int], spans: Sequence[Span]) -> tuple[Question, ...]:
        """The sum; the shortcuts say one of the operands."""
        if len(sequence) < 5:
            return ()
        a, b, answer = (f" {self.symbols[sequence[place]]}" for place in (0, 2, 4))
        span = (0, spans[3][1])
        shortcuts = {"first_operand": a, "second_operand": b}
        return (Question(span=span, kind="sum", answer=answer, about="", shortcuts=shortcuts),)

    def parse(self, text: str) -> Parse:
        """Five words are one equation; an unfinished last one is left out."""
        ends = [i for i in range(1, len(text) + 1) if i == len(text) or text[i] == " "]
        cuts = [0, *ends[self.length - 1 :: self.length]]
        return Parse(sentences=tuple(self._sentence(text, span) for span in pairwise(cuts)))

    def _allowed(self, place: int, sequence: Sequence[int]) -> range:
        if place in (0, 2):
            return range(self.modulus)
        if place == 4:
            answer = (sequence[0] + sequence[2]) % self.modulus
            return range(answer, answer + 1)
        sign = {1: self._index["+"], 3: self._index["="]}.get(place, -1)
        return range(sign, sign + 1)


WORLDS: dict[str, Callable[[], SequenceWorld]] = {"repeats": Repeats, "modular": Modular}
