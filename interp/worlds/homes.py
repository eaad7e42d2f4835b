"""Who is where, told twice: a world whose only difficulty is how far a place stands from its owner.

Four people are introduced, then eight times somebody who was not named last is told of again. The
place is then known to whoever finds the name's first mention. At level `gap-0` it is the word after
the name; each level puts one word more between them. Sentences, people and floor stay the same.
"""

import math
import re
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from itertools import count
from typing import ClassVar

from interp.worlds.telling import Guide, Options, Reader, Storyteller, Telling, uniform
from interp.worlds.world import Choice, Fact, Parse, Question, Sentence, Story, check_name

PEOPLE = ("Anna", "Ben", "Clara", "David", "Emma", "Frank", "Grace", "Henry")
PLACES = ("garden", "kitchen", "park", "school", "market", "forest", "library", "harbor")
BETWEEN = {"gap-0": "", "gap-1": " in", "gap-2": " is in", "gap-3": " is in the"}
INTRODUCED, TOLD_AGAIN = 4, 8
ANSWER_WEIGHT = 6.0
SPLITS = ("train", "held_out")
_SENTENCE = re.compile(r"\s*[^.]*\.")
_FORM = re.compile(r"\s*(\w+) is in the (\w+)\.")


class Round(Telling):
    """One document as it is told; everything true of it is noted on the way."""

    def __init__(self, guide: Guide, level: str) -> None:
        super().__init__(guide)
        self.between = BETWEEN[level]
        self.place: dict[str, str] = {}
        for _ in range(INTRODUCED):
            self._introduce()
        latest = list(self.place)[-1]
        for _ in range(TOLD_AGAIN):
            latest = self._tell_again(latest)
        guide.end(len(self.text))

    def _introduce(self) -> None:
        person = self._pick_person(name for name in PEOPLE if name not in self.place)
        free = uniform(f" {place}" for place in PLACES if place not in self.place.values())
        self.place[person] = self.pick("place", free).strip()
        self._note(person, len(self.text), "stated")

    def _tell_again(self, latest: str) -> str:
        start, said = len(self.text), list(self.place.values())
        person = self._pick_person(name for name in self.place if name != latest)
        asked, place = len(self.text), self.place[person]
        self.pick("answer", {f" {place}": 1.0}, ANSWER_WEIGHT)
        self._note(person, asked, "asked")
        shortcuts = {"most_recent": self.place[latest], "first": said[0]}
        self.questions.append(
            Question(
                span=(start, asked),
                kind="place",
                answer=f" {place}.",
                about=person,
                shortcuts={name: f" {guess}." for name, guess in shortcuts.items()},
            )
        )
        return person

    def _pick_person(self, names: Iterable[str]) -> str:
        person = self.pick("name", uniform(f" {name}" for name in names)).strip()
        if self.between:
            self.write(self.between)
        return person

    def _price(self, kind: str, options: Options, phrase: str, weight: float) -> None:
        """Phrases are single words, all alike, so each costs the logarithm of their number."""
        nats, here = math.log(len(options)), len(self.text)
        self.choices.append(
            Choice(
                span=(here, here + len(phrase)),
                surprisal_nats=nats,
                entropy_nats=nats,
                kind=kind,
                weight=weight,
            )
        )

    def _note(self, person: str, end: int, role: str) -> None:
        place = self.place[person]
        span = (end - len(place), end) if role == "stated" else (end - 1, end)
        self.facts.append(Fact(span=span, variable="place", value=place, about=person, role=role))
        self.write(".")


class Homes:
    """The world; see the module's text, and `world.World` for what each member means."""

    name = "homes"
    levels = tuple(BETWEEN)
    variables: ClassVar[Mapping[str, tuple[str, ...]]] = {"place": PLACES}
    concepts: ClassVar[Mapping[str, tuple[str, ...]]] = {"place": PLACES}
    vocabulary = tuple(f" {name} is in the {place}." for name in PEOPLE for place in PLACES)

    def sample(self, seed: int, *, level: str = "gap-3", split: str = "train") -> Story:
        """Document number `seed`; the first two people and their places decide the split.

        Raises:
            ConfigError: no such level or split.
        """
        check_name(self.name, "level", level, self.levels)
        check_name(self.name, "split", split, SPLITS)
        for attempt in count():
            telling = Round(Storyteller(f"{split}/{level}/{seed}/{attempt}"), level)
            if _is_held_out(telling) == (split == "held_out"):
                return telling.story(level, seed)

    def read(self, text: str, *, level: str = "gap-3") -> Story:
        """A whole document read back with its facts, questions and prices.

        Raises:
            WorldError: the world cannot have told it; says where it departs.
        """
        check_name(self.name, "level", level, self.levels)
        return Round(Reader(text), level).story(level, None)

    def surprisal(self, text: str, *, level: str = "gap-3") -> tuple[Choice, ...]:
        """The exact cost of every choice.

        Raises:
            WorldError: the world cannot have told this text; says where it departs.
        """
        return self.read(text, level=level).choices

    def parse(self, text: str) -> Parse:
        """Any text read back, sentence by sentence, at the widest gap."""
        place: dict[str, str] = {}
        return Parse(sentences=tuple(_judged(m, place) for m in _SENTENCE.finditer(text)))


def _is_held_out(telling: Round) -> bool:
    """Whether documents that begin so are held out, at every level; one in ten is."""
    beginning = " ".join(f"{name} {place}" for name, place in list(telling.place.items())[:2])
    return blake2b(beginning.encode(), digest_size=4).digest()[0] % 10 == 0


def _judged(match: re.Match[str], place: dict[str, str]) -> Sentence:
    """A sentence beside what was said before; a new person and place are remembered."""
    form = _FORM.fullmatch(match[0])
    if not form or form[1] not in PEOPLE or form[2] not in PLACES:
        why = "not `NAME is in the PLACE.`"
        return Sentence(
            span=match.span(), well_formed=False, consistent=None, kind="unknown", why=why
        )
    person, where = form.groups()
    taken = where in place.values() and person not in place
    consistent = place.get(person, where) == where and not taken
    place.setdefault(person, where)
    return Sentence(
        span=match.span(),
        well_formed=True,
        consistent=consistent,
        kind="place",
        concepts=(where,),
        why="" if consistent else f"{person} is elsewhere, or somebody else is there",
    )


WORLDS = {"homes": Homes}
