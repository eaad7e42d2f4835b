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
    "where": r"Where is (?P<person>\w+)\? In the (?P<place>\w+)\.",
    "how": r"How is (?P<person>\w+)\? Feeling (?P<mood>\w+)\.",
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
        text, facts, questions = "", [], []
        people = rng.sample(NAMES, self.people)
        where = dict(zip(people, rng.sample(PLACES, self.people), strict=True))
        how = {person: rng.choice(MOODS) for person in people}
        for person in people:
            text += f"{person} sits in the {where[person]}."
            facts.append(self._fact(text[:-1], "place", where[person], person, "stated"))
            facts.append(self._fact(text, "place", where[person], person, "state"))
            text += f" {person} feels {how[person]}. "
            facts.append(self._fact(text[:-2], "mood", how[person], person, "stated"))
        for variable, truth, asking in (
            ("place", where, "Where is {}? In the"),
            ("mood", how, "How is {}? Feeling"),
        ):
            about, start = rng.choice(people), len(text)
            text += asking.format(about)
            value = truth[about]
            span = (start, len(text))
            questions.append(Question(span=span, kind=variable, answer=value, about=about))
            facts.append(self._fact(text, variable, value, about, "asked"))
            text += f" {value}. "
        return Story(
            text=text[:-1],
            facts=tuple(facts),
            choices=(),
            questions=tuple(questions),
            level=level,
            seed=seed,
        )

    def parse(self, text: str) -> Parse:
        matches = re.finditer(r"\S[^.?]*[.]|\S[^.?]*\?[^.?]*\.", text)
        return Parse(sentences=tuple(self._sentence(match) for match in matches))

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
