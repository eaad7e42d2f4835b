"""The stories world as it was until November 2026, for what was measured on its stories.

Things had no histories: nobody took again what lay somewhere, and hand-overs were rare.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from interp.worlds.stories import RARE, EventfulTale, Stories, Tale
from interp.worlds.telling import Guide, Options, Reader, uniform
from interp.worlds.village import HELD_OUT_PLACE, LEVELS, NEVER_TOLD, OBJECTS, PLACES
from interp.worlds.world import Story

SIZES = {
    "echo": ((0, 0), 0), "words": ((1, 3), 6), "phrases": ((2, 4), 6), "clauses": ((4, 6), 5),
    "full": ((4, 6), 4),
}  # fmt: skip
"""Events before the first question, and questions, by level."""


class EarlierTale(Tale):
    """The rules of that time; all that is not here has stayed."""

    def __init__(self, guide: Guide, level: str, split: str) -> None:
        super().__init__(guide, level, split)
        events, questions = SIZES[level]
        self.rules = replace(LEVELS[level], events=events, questions=questions)

    def _deeds(self, person: str) -> dict[str, float]:
        state = self.state
        here, has = person in state.place, state.held_by(person)
        if not state.events:
            return {"take": 1.0} if here else {}
        deeds = {
            "move": 3.0 * here,
            "take": 2.0 * (here and len(state.holder) < 2),
            "drop": 0.8 * (here and bool(has)),
            "give": 2.0 * (bool(has) and bool(state.company(person))),
            "likes": 0.4 * (person not in NEVER_TOLD and person not in state.likes),
            "sense": 0.4,
            "speech": 0.4,
        }
        return {form: weight for form, weight in deeds.items() if weight}

    def _takeable(self, person: str) -> dict[str, float]:
        return uniform(thing for thing in OBJECTS if thing not in self.state.holder)

    def _questions(self) -> dict[str, Options]:
        starts: Mapping[str, Options] = {
            " Where": {"where_person": 2.5, "where_object": 6.0},
            " How": {"how": 4.5},
            " Who": {"who": 4.0},
            " What": {"what": 0.8},
        }
        plan = {}
        for start, forms in starts.items():
            if still := {form: weight for form, weight in forms.items() if self._askable(form)}:
                plan[start] = still
        return plan

    def _curiosity(self, form: str, about: str) -> float:
        state, latest = self.state, self.state.said["place"][-1]
        if about in OBJECTS and about not in state.holder:
            return 0.15
        if form == "where_person":
            return 0.3 if state.place.get(about) == latest else 1.0
        if form == "where_object":
            here = state.place_of(about)
            return (0.3 if here == latest else 1.0) * (
                0.5 if here == state.taken_at[about] else 2.0
            )
        return 1.0

    def _places(self, person: str, form: str) -> dict[str, float]:
        state, rare = self.state, HELD_OUT_PLACE[person]
        if form == "place" and person in state.place:
            return {state.place[person]: 1.0}
        barred = set(state.place.values()) if form == "place" else {state.place[person]}
        options = uniform(p for p in PLACES if p not in barred and p != rare)
        if self.split == "composition" and rare not in barred:
            options[rare] = float(len(options))
        return options


class EarlierEventfulTale(EventfulTale, EarlierTale):
    """The rare events of that time."""


class EarlierStories(Stories):
    """The world of that time."""

    def sample(self, seed: int, *, level: str = "full", split: str = "train") -> Story:
        """As the world did then."""
        return self._sample(EarlierTale, seed, level, split)

    def sample_eventful(self, seed: int, *, level: str = "full", split: str = "train") -> Story:
        """As the world did then."""
        kind = partial(EarlierEventfulTale, rare=RARE[seed % len(RARE)])
        return self._sample(kind, seed, level, split)

    def read(self, text: str, *, level: str = "full", split: str = "train") -> Story:
        """A story of that time read back."""
        return EarlierTale(Reader(text), level, split).tell().story(level, None)
