"""A world of two sentences and a question, small enough to train on in seconds."""

import random
import re
from collections.abc import Mapping

from interp.worlds.world import Choice, Fact, Parse, Question, Sentence, Story

NAMES = ("Anna", "Ben", "Clara", "Dan", "Eve", "Finn", "Gina", "Hugo")
PLACES = ("attic", "barn", "cellar", "den")
MOODS = ("glad", "grim", "meek")
WORDS = (*NAMES, *PLACES, *MOODS)
FORMS = {
    "place": r"(?P<person>\w+) sits in the (?P<place>\w+)\.",
    "mood": r"(?P<person>\w+) feels (?P<mood>\w+)\.",
    "question": r"Where is (?P<person>\w+)\? In the (?P<place>\w+)\.",
}


class TinyWorld:
    """People sit somewhere and feel something; then one is asked for."""

    name = "tiny"
    levels = ("full",)
    variables: Mapping[str, tuple[str, ...]] = {"place": PLACES, "mood": MOODS}
    concepts: Mapping[str, tuple[str, ...]] = {"mood": MOODS}

    def __init__(self, people: int = 2) -> None:
        self.people = people

    def sample(self, seed: int, *, level: str = "full", split: str = "train") -> Story:
        rng = random.Random(f"{split}/{seed}")
        text, facts = "", []
        people = rng.sample(NAMES, self.people)
        where = dict(zip(people, rng.sample(PLACES, self.people), strict=True))
        for person in people:
            text += f"{person} sits in the {where[person]}."
            facts.append(self._fact(text[:-1], "place", where[person], person, "stated"))
            facts.append(self._fact(text, "place", where[person], person, "state"))
            mood = rng.choice(MOODS)
            text += f" {person} feels {mood}. "
            facts.append(self._fact(text[:-2], "mood", mood, person, "stated"))
        asked = rng.choice(people)
        start = len(text)
        text += f"Where is {asked}? In the"
        question = Question(span=(start, len(text)), kind="place", answer=where[asked], about=asked)
        before = (len(text) - 1, len(text))
        facts.append(
            Fact(span=before, variable="place", value=where[asked], about=asked, role="asked")
        )
        text += f" {where[asked]}."
        return Story(
            text=text, facts=tuple(facts), choices=(), questions=(question,), level=level, seed=seed
        )

    def parse(self, text: str) -> Parse:
        found = re.finditer(r"\S[^.?]*[.]|\S[^.?]*\?[^.?]*\.", text)
        return Parse(sentences=tuple(self._sentence(match) for match in found))

    def surprisal(self, text: str, *, level: str = "full") -> tuple[Choice, ...]:
        return ()

    @staticmethod
    def _fact(text: str, variable: str, value: str, about: str, role: str) -> Fact:
        length = len(value) if role == "stated" else 1
        span = (len(text) - length, len(text))
        return Fact(span=span, variable=variable, value=value, about=about, role=role)

    @staticmethod
    def _sentence(match: re.Match[str]) -> Sentence:
        for kind, form in FORMS.items():
            if (said := re.fullmatch(form, match.group())) and set(said.groups()) <= set(WORDS):
                return Sentence(
                    span=match.span(),
                    well_formed=True,
                    consistent=True,
                    kind=kind,
                    concepts=tuple(said.groups()),
                )
        return Sentence(span=match.span(), well_formed=False, consistent=None, kind="unknown")
