"""What every simulated world offers: text, its truth, and the floor of any model's loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from interp.core.errors import ConfigError, near_misses

Span = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Something true at a place in the text.

    Attributes:
        span: the characters whose last one is the first at which a reader can know it.
        variable: what it is about, as a probe would name it: `place`, `mood`, `object_place` …
        value: the true value, a word of the world's vocabulary.
        about: whom or what it is about (`Anna`, `ball`); empty for facts of the whole story.
        role: `stated` in a sentence, `asked` at a question, or `state` at a sentence's end.
        tags: labels for scoring: `unknown`, `carried`, `composition`, `gap=12` …
    """

    span: Span
    variable: str
    value: str
    about: str = ""
    role: str = "stated"
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One choice of the simulator, as the reader sees it: the text it wrote and what it cost.

    Attributes:
        span: the characters that reveal the choice.
        surprisal_nats: exact negative log-probability given the text before.
        entropy_nats: the mean surprisal over the options open at this point.
        kind: what was chosen (`name`, `event`, `place` …), for tables of regret.
        weight: how much the trainer may count these characters (1 = as any other).
    """

    span: Span
    surprisal_nats: float
    entropy_nats: float
    kind: str
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question in the text, its honest answer, and what each shortcut would answer.

    Attributes:
        span: the characters from the question's first to the one before its answer.
        kind: `place`, `mood`, `object_place`, `holder` …
        answer: the words that answer it, as they stand in the text.
        about: whom or what is asked about.
        shortcuts: a shortcut's name to the answer it gives (`most_recent`, …).
        tags: `unknown`, `carried`, `composition`, `gap=12` …
    """

    span: Span
    kind: str
    answer: str
    about: str
    shortcuts: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Event:
    """A sentence as the simulator told it.

    Attributes:
        kind: `place`, `move`, `take`, `where_person`, `is_place` …
        slots: what fills each of its places: `person`, `object`, `place` …
        end: one after its last character.
    """

    kind: str
    slots: Mapping[str, str]
    end: int


@dataclass(frozen=True, kw_only=True)
class Story:
    """A sampled document with its whole truth.

    Attributes:
        text: the document.
        facts: what is true at each place of the text.
        choices: what the simulator chose, with the exact cost; in the order of the text.
        questions: questions that the text asks, with their answers and shortcuts.
        level: level of difficulty.
        seed: number of the document; None for a text that was only read.
        events: the sentences in order, questions and answers among them; empty where a world does
            not tell in sentences.
    """

    text: str
    facts: tuple[Fact, ...]
    choices: tuple[Choice, ...]
    questions: tuple[Question, ...] = ()
    level: str = "full"
    seed: int | None = None
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A sentence of any text, read back.

    Attributes:
        span: characters of the sentence.
        well_formed: whether it is a sentence of the world's grammar.
        consistent: whether it is true of the story so far; None when it is not well formed.
        kind: `place`, `move`, `mood`, `question` … or `unknown`.
        concepts: the concept labels it shows: `happy`, `polite`, `garden` …
        why: what is wrong, in words; empty when nothing is.
    """

    span: Span
    well_formed: bool
    consistent: bool | None
    kind: str
    concepts: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Parse:
    """A text read back, sentence by sentence; an unfinished last sentence is left out."""

    sentences: tuple[Sentence, ...]


@runtime_checkable
class World(Protocol):
    """A seeded simulator whose state is always determined by the text so far."""

    name: str
    levels: tuple[str, ...]
    variables: Mapping[str, tuple[str, ...]]
    concepts: Mapping[str, tuple[str, ...]]

    def sample(self, seed: int, *, level: str = "full", split: str = "train") -> Story:
        """Document number `seed`; `split` is `train`, `held_out` or `composition`. Pure."""

    def parse(self, text: str) -> Parse:
        """Read any text back, also one that a model wrote. Never raises on text."""

    def surprisal(self, text: str, *, level: str = "full") -> tuple[Choice, ...]:
        """The exact cost of every choice in `text`.

        Raises:
            WorldError: the world cannot have told this text; says where it departs.
        """


def check_name(world: str, what: str, name: str, names: Sequence[str]) -> None:
    """Refuse a level, split, variable or concept that a world does not have.

    Args:
        world: name of the world.
        what: `level`, `split`, `variable` or `concept`.
        name: the one that is asked for.
        names: those that the world has.
    Raises:
        ConfigError: the name is none of them; the nearest are shown.
    """
    if name not in names:
        raise ConfigError(f"The {world} world has no {what} {name!r}.{near_misses(name, names)}")
