"""What worlds of symbol sequences share: words with a space before each, splits, prices.

The first symbols of a sequence, its prefix, decide its split, so no two splits share a prefix and a
probe cannot profit from having met the same beginning. Choices within the prefix are of the kind
`prefix`: their prices are those of the process itself, from which each split's prefixes differ.
"""

import re
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import ClassVar

import numpy as np

from interp.core.errors import WorldError, near_misses
from interp.worlds.world import Choice, Fact, Parse, Question, Sentence, Span, Story, check_name

SPLITS = ("train", "held_out", "any")


class SequenceWorld(ABC):
    """Symbols one after the other; a world says how they are drawn and what each one costs.

    Attributes:
        name: the world's name.
        symbols: the world's words, without the space before each.
        length: symbols in a document.
        prefix_length: how many first symbols decide the split.
        held_out_share: share of the prefixes whose documents are held out.
    """

    levels: tuple[str, ...] = ("full",)
    concepts: Mapping[str, tuple[str, ...]] = {}
    variables: Mapping[str, tuple[str, ...]] = {}
    kind: ClassVar[str] = "sequence"

    def __init__(
        self,
        name: str,
        symbols: Sequence[str],
        *,
        length: int,
        prefix_length: int,
        held_out_share: float = 0.1,
    ) -> None:
        self.name, self.symbols, self.length = name, tuple(symbols), length
        self.prefix_length, self.held_out_share = prefix_length, held_out_share
        self._index = {symbol: i for i, symbol in enumerate(self.symbols)}

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> tuple[list[int], list[int]]:
        """Symbols by number, and the hidden states after each (none where nothing is hidden)."""

    @abstractmethod
    def price(self, sequence: Sequence[int]) -> list[tuple[float, float, str]]:
        """Surprisal and entropy in nats, and kind, of each symbol given those before.

        A surprisal is infinite where the world cannot go on so.
        """

    def facts(
        self, sequence: Sequence[int], hidden: Sequence[int], spans: Sequence[Span]
    ) -> tuple[Fact, ...]:
        """What is true of a sequence; `hidden` is empty for a text that was only read."""
        return ()

    def questions(self, sequence: Sequence[int], spans: Sequence[Span]) -> tuple[Question, ...]:
        """The questions that a sequence asks."""
        return ()

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Texts that hold every word."""
        return tuple(f" {symbol}" for symbol in self.symbols)

    def sample(self, seed: int, *, level: str = "full", split: str = "train") -> Story:
        """Document number `seed` of a split; `any` is the bare process, before it is split.

        Raises:
            ConfigError: no such level or split.
        """
        check_name(self.name, "level", level, self.levels)
        check_name(self.name, "split", split, SPLITS)
        rng = np.random.default_rng([zlib.crc32(f"{self.name}/{split}".encode()), seed])
        while True:
            sequence, hidden = self.draw(rng)
            if split == "any" or self.held_out(sequence) == (split == "held_out"):
                return self._story(sequence, hidden, seed)

    def held_out(self, sequence: Sequence[int]) -> bool:
        """Whether a sequence belongs to the held-out split, by its prefix alone."""
        digest = blake2b(repr(self.prefix(sequence)).encode(), digest_size=8).digest()
        return int.from_bytes(digest) < self.held_out_share * 2**64

    def prefix(self, sequence: Sequence[int]) -> tuple[int, ...]:
        """What decides the split."""
        return tuple(int(symbol) for symbol in sequence[: self.prefix_length])

    def read(self, text: str, *, level: str = "full") -> Story:
        """A text with its facts, questions and prices.

        Raises:
            WorldError: the world cannot have told it; says where it departs.
        """
        check_name(self.name, "level", level, self.levels)
        return self._story(self.numbers(text), [], None)

    def surprisal(self, text: str, *, level: str = "full") -> tuple[Choice, ...]:
        """The exact cost of every symbol in `text`.

        Raises:
            WorldError: the world cannot have told this text; says where it departs.
        """
        return self.read(text, level=level).choices

    def parse(self, text: str) -> Parse:
        """The whole text is one sentence, consistent if the world can have told it."""
        if not text.strip():
            return Parse(sentences=())
        return Parse(sentences=(self._sentence(text, (0, len(text))),))

    def numbers(self, text: str) -> list[int]:
        """The symbols of a text by number.

        Raises:
            WorldError: a word is no symbol, or stands without one space before it.
        """
        numbers, position = [], 0
        for word in re.findall(r" [^ ]*|[^ ]+", text):
            if word[:1] != " " or word[1:] not in self._index:
                raise WorldError(
                    f"The world {self.name} writes one space and one of its {len(self.symbols)} "
                    f"symbols; at character {position} stands {word!r}."
                    f"{near_misses(word.strip(), self.symbols)}"
                )
            numbers.append(self._index[word[1:]])
            position += len(word)
        return numbers

    def _sentence(self, text: str, span: Span) -> Sentence:
        kind, why = self.kind, ""
        well_formed, consistent = True, None
        try:
            sequence = self.numbers(text[slice(*span)])
        except WorldError as error:
            well_formed, kind, why = False, "unknown", str(error)
        else:
            impossible = [i for i, (nats, *_) in enumerate(self.price(sequence)) if np.isinf(nats)]
            consistent = not impossible
            why = self._departure(impossible[0], sequence) if impossible else ""
        return Sentence(
            span=span, well_formed=well_formed, consistent=consistent, kind=kind, why=why
        )

    def _story(self, sequence: Sequence[int], hidden: Sequence[int], seed: int | None) -> Story:
        spans = self._spans(sequence)
        prices = self.price(sequence)
        for i, (nats, *_) in enumerate(prices):
            if np.isinf(nats):
                raise WorldError(self._departure(i, sequence))
        return Story(
            text="".join(f" {self.symbols[symbol]}" for symbol in sequence),
            facts=self.facts(sequence, hidden, spans),
            choices=tuple(
                Choice(
                    span=span,
                    surprisal_nats=float(nats),
                    entropy_nats=float(entropy),
                    kind="prefix" if i < self.prefix_length else kind,
                    weight=self.weight(i),
                )
                for i, (span, (nats, entropy, kind)) in enumerate(zip(spans, prices, strict=True))
            ),
            questions=self.questions(sequence, spans),
            seed=seed,
        )

    def weight(self, place: int) -> float:
        """How much the trainer may count the symbol at a place."""
        return 1.0

    def _spans(self, sequence: Sequence[int]) -> list[Span]:
        """The characters of each symbol, without the space before it."""
        ends = np.cumsum([1 + len(self.symbols[symbol]) for symbol in sequence]).tolist()
        return [
            (end - len(self.symbols[symbol]), end)
            for symbol, end in zip(sequence, ends, strict=True)
        ]

    def _departure(self, place: int, sequence: Sequence[int]) -> str:
        start, _ = self._spans(sequence)[place]
        return (
            f"The world {self.name} cannot have told the text: at character {start} the symbol "
            f"{self.symbols[sequence[place]]!r} has probability 0 after those before it."
        )
