"""A small simulated world told in plain English: people, places, things, moods, and questions.

One program tells every story. It is written left to right, each choice being the next thing the
reader sees, so sampling a story, reading one back and pricing its words are the same walk with
another guide (`telling.py`). Nothing is decided in secret: the state is always determined by the
text so far.
"""

from collections.abc import Callable, Mapping
from functools import partial
from hashlib import blake2b
from itertools import count
from typing import ClassVar

from interp.worlds.replay import NOBODY, judged, noted, replay, sentences
from interp.worlds.skimming import skim
from interp.worlds.telling import Guide, Options, Reader, Storyteller, Telling, uniform
from interp.worlds.village import (
    ANSWER_WEIGHT,
    FOODS,
    FORMS,
    HELD_OUT_PLACE,
    LEVELS,
    LIKES,
    MANNERS,
    MOODS,
    NEVER_ASKED,
    NEVER_TOLD,
    OBJECTS,
    PEOPLE,
    PLACES,
    QUESTIONS,
    SENSES,
    SLOTS,
    THINGS_IN_PLAY,
    State,
    answer_words,
    gaits,
    pieces,
)
from interp.worlds.world import Choice, Event, Fact, Parse, Question, Story, check_name


class Tale(Telling):
    """One story as it is told: its text, state, choices, facts and questions."""

    def __init__(self, guide: Guide, level: str, split: str) -> None:
        super().__init__(guide)
        self.level, self.split, self.rules = level, split, LEVELS[level]
        self.state = State()
        self.ends: list[int] = []

    def tell(self, sentences: int | None = None) -> "Tale":
        """Tell on: to the end, or until so many sentences stand."""
        while sentences is None or len(self.ends) < sentences:
            if not (plan := self.plan()):
                self._guide.end(len(self.text))
                break
            self.sentence(plan)
            self.ends.append(len(self.text))
        return self

    def plan(self) -> dict[str, Options]:
        """What may come next: how a sentence begins, to its possible forms; empty at the end."""
        state = self.state
        if not state.last:
            return {"": {"opening": 1.0}}
        if len(state.asked) + state.recited == self.rules.questions + self.rules.recited:
            return {}
        if self.rules.recited:
            return self._recital()
        fewest, most = self.rules.events
        is_whole_cast = len(state.cast) == self.rules.people[1]
        if state.asked or (is_whole_cast and state.events >= most):
            return self._questions()
        plan = self._introductions()
        if is_whole_cast and plan.get(f" {state.cast[-1]}", {}).get("mood") != 9.0:
            for part in (self._events(), self._questions() if state.events >= fewest else {}):
                for start, forms in part.items():
                    plan[start] = {**plan.get(start, {}), **forms}
        return plan

    def _recital(self) -> dict[str, Options]:
        """Everybody has one place or thing; then it is said again, mostly in the same order."""
        state, (fewest, most) = self.state, self.rules.people
        plan: dict[str, Options] = {}
        if not state.recited and len(state.cast) < most:
            share = 6.0 / (len(PEOPLE) - len(state.cast))
            new = {"place": share, "take": share}
            plan = {f" {name}": new for name in PEOPLE if name not in state.cast}
        if len(state.cast) >= fewest:
            follower = self._follower()
            for name in state.cast if state.recited else [follower]:
                form = "place" if name in state.place else "take"
                plan[f" {name}"] = {form: 4.0 if name == follower else 1.0}
        return plan

    def _follower(self) -> str:
        """Who comes next in the order of introduction."""
        cast = self.state.cast
        latest = cast.index(self.state.said["person"][-1])
        return cast[(latest + 1) % len(cast)]

    def _introductions(self) -> dict[str, Options]:
        """Each person comes with a place, a mood or both; two of three have each."""
        state, plan = self.state, {}
        left = self.rules.people[1] - len(state.cast)
        newest = state.cast[-1] if state.cast else ""
        if state.last == "place" and newest not in state.mood:
            must = len(state.mood) + left < 2
            plan[f" {newest}"] = {"mood": 9.0 if must else 1.0}
            if must:
                return plan
        if left:
            must = len(state.place) + left <= 2
            forms = {"place": 0.8 / left} if must else {"place": 0.8 / left, "mood": 0.2 / left}
            plan |= {f" {name}": forms for name in PEOPLE if name not in state.cast}
        return plan

    def _events(self) -> dict[str, Options]:
        plan = {f" {person}": self._deeds(person) for person in self.state.cast}
        return plan if not self.state.events else {**plan, " They": {"refrain": 0.4}}

    def _deeds(self, person: str) -> dict[str, float]:
        state = self.state
        here, has = person in state.place, state.held_by(person)
        if not state.events:
            return {"take": 1.0} if here else {}
        deeds = {
            "move": here * (6.0 if person in state.restless else 0.7),
            "take": here * sum(self._takeable(person).values()),
            "drop": 1.5 * (here and bool(has)),
            "give": 4.0 * (bool(has) and bool(state.company(person))),
            "likes": 0.25 * (person not in NEVER_TOLD and person not in state.likes),
            "sense": 0.25,
            "speech": 0.25,
        }
        return {form: weight for form, weight in deeds.items() if weight}

    def _takeable(self, person: str) -> dict[str, float]:
        """What a person may take: what lies there, or a new thing, of which a story has two."""
        state = self.state
        new = [thing for thing in OBJECTS if thing not in state.holder]
        is_full = len(state.holder) == THINGS_IN_PLAY and not self.rules.recited
        lying = state.lying_with(person)
        shares = {} if is_full else dict.fromkeys(new, 2.0 / len(new))
        return shares | {thing: 9.0 / len(lying) for thing in lying}

    def _questions(self) -> dict[str, Options]:
        things = self._askable("where_object")
        telling = max((self._curiosity("where_object", thing) for thing in things), default=0.0)
        starts = {
            " Where": {"where_person": 3.0, "where_object": 8.0 * telling},
            " How": {"how": 4.5},
            " Who": {"who": 4.0},
            " What": {"what": 0.8},
        }
        plan = {}
        for start, forms in starts.items():
            if still := {form: weight for form, weight in forms.items() if self._askable(form)}:
                plan[start] = still
        return plan

    def _askable(self, question: str) -> list[str]:
        """About whom or what this has not been asked yet."""
        if question in ("where_object", "who"):
            about = OBJECTS
        else:
            barred = NEVER_ASKED if question == "what" and self.split != "composition" else ()
            about = [person for person in self.state.cast if person not in barred]
        return [one for one in about if (question, one) not in self.state.asked]

    def sentence(self, plan: Mapping[str, Options]) -> None:
        """Tell one sentence: how it begins, then which form, then what fills it."""
        starts_at = len(self.text)
        begun = ""
        if "" not in plan:
            begun = self.pick("start", {s: sum(f.values()) for s, f in plan.items() if f})
        name = begun.strip()
        slots = {"person": name} if name in PEOPLE else {}
        options, forms = self._continuations(begun, plan[begun], slots)
        again = self.rules.recited and name in self.state.cast
        phrase = self.pick("event", options, ANSWER_WEIGHT if again else 1.0)
        form = forms[phrase]
        literal, slot = pieces(form, self.level)[len(slots)]
        slots[slot] = phrase.removeprefix(literal.removeprefix("" if slots else begun))
        self._fill(form, slots, starts_at)

    def _continuations(
        self, begun: str, plan: Options, slots: Mapping[str, str]
    ) -> tuple[dict[str, float], dict[str, str]]:
        """The phrases to a sentence's first choice of a value, weighted, and each one's form."""
        options: dict[str, float] = {}
        forms: dict[str, str] = {}
        depth, level = len(slots), self.level
        for form, weight in plan.items():
            literal, slot = pieces(form, level)[depth]
            literal = literal if slots else literal.removeprefix(begun)
            domain = self.domain(form, slot, slots)
            total = sum(domain.values())
            for value, p in domain.items():
                phrase = literal + value
                options[phrase] = weight * p / total
                forms[phrase] = form
        return options, forms

    def _fill(self, form: str, slots: dict[str, str], starts_at: int) -> None:
        """Tell the rest of a sentence, let it become true, and answer it if it asks."""
        slot, value = next(reversed(slots.items()))
        spans = {slot: (len(self.text) - len(value), len(self.text))}
        for literal, slot in pieces(form, self.level)[len(slots) :]:
            if not slot:
                self.write(literal)
                continue
            domain = self.domain(form, slot, slots)
            chosen = self.pick(slot, {literal + v: p for v, p in domain.items()})
            slots[slot] = chosen.removeprefix(literal)
            spans[slot] = (len(self.text) - len(slots[slot]), len(self.text))
        self.events.append(Event(kind=form, slots=slots, end=len(self.text)))
        self.state.apply(form, slots)
        self.facts += noted(self.state, form, slots, spans, len(self.text))
        if form in QUESTIONS:
            self._answer(form, *self.state.asked[-1], starts_at)

    def _answer(self, question: str, _: str, about: str, starts_at: int) -> None:
        form, value = self.state.answer(question, about)
        tags, shortcuts = self._tags(question, about), self._shortcuts(question, about)
        variable, asked = QUESTIONS[question][0], len(self.text)
        for literal, slot in pieces(form, self.level):
            if literal + slot == ".":
                self.write(".")
                continue
            before = len(self.text) + len(literal.rstrip())
            self.pick("answer", {literal + (value if slot else ""): 1.0}, ANSWER_WEIGHT)
            if slot:
                known = value if slot == "person" else value.lower()
                self.facts.append(
                    Fact(span=(before - 1, before), variable=variable, value=known, about=about,
                         role="asked", tags=tags)
                )  # fmt: skip
        self.questions.append(
            Question(span=(starts_at, asked), kind=variable, answer=self.text[asked:], about=about,
                     shortcuts=shortcuts, tags=tags)
        )  # fmt: skip
        slots = {QUESTIONS[question][2].lower(): value.lower()} if value else {}
        self.events.append(Event(kind=form, slots=slots, end=len(self.text)))
        self.state.apply(form, {})

    def _tags(self, question: str, about: str) -> tuple[str, ...]:
        state, tags = self.state, []
        form, value = state.answer(question, about)
        who, value = about, value.lower()
        if form == "unknown":
            tags.append("unknown")
        elif question == "where_object" and (who := state.holder.get(about)):
            tags += ["carried"] + ["moved"] * (state.taken_at[about] != value)
        is_new_pair = question.startswith("where") and HELD_OUT_PLACE.get(who or "") == value
        if (value and is_new_pair) or (question == "what" and about in NEVER_ASKED):
            tags.append("composition")
        if question in ("where_object", "who") and about in state.holder:
            tags += state.fate(about)
        return tuple(tags)

    def _shortcuts(self, question: str, about: str) -> dict[str, str]:
        """What somebody who only skims would answer, in the answer's words."""
        slot = QUESTIONS[question][2]
        said = [v for v in self.state.said.get(slot.lower(), []) if v != about]
        guesses = {"most_recent": said[-1], "first": said[0]} if said else {}
        if question == "where_object" and (taken := self.state.taken_at.get(about)):
            guesses["where_taken"] = taken
        return {name: answer_words(question, guess, self.level) for name, guess in guesses.items()}

    def domain(self, form: str, slot: str, slots: Mapping[str, str]) -> dict[str, float]:
        """The values that may fill a slot now, with their weights."""
        if slot in FREE:
            return FREE[slot]
        state, person = self.state, slots.get("person", "")
        match slot:
            case "place":
                return self._places(person, form)
            case "object" if self.rules.recited and person in state.cast:
                return uniform(state.held_by(person))
            case "mood":
                return uniform(mood for mood in MOODS if mood not in state.mood.values())
            case "cause":
                return uniform(MOODS[slots["mood"]][1])
            case "gait":
                return gaits(state.mood.get(person))
            case "object" if form in QUESTIONS:
                return {thing: self._curiosity(form, thing) for thing in self._askable(form)}
            case "object":
                is_given = form in ("drop", "give")
                return uniform(state.held_by(person)) if is_given else self._takeable(person)
            case "other":
                return uniform(state.company(person))
            case "person":
                return {person: self._curiosity(form, person) for person in self._askable(form)}
            case "food":
                return {LIKES[person]: 1.0}
            case "word" | "tail":
                word, _, tails = SENSES[slots["verb"]]
                return uniform(tails) if slot == "tail" else {word: 1.0}
            case "ending":
                return {dict(MANNERS.values())[slots["manner"]]: 1.0}
            case "e1" | "e2" | "e3":
                return {slots[slot.replace("e", "s")]: 1.0}
        return {"": 1.0}

    def _curiosity(self, form: str, about: str) -> float:
        """How likely a question is asked: seldom where a shortcut has the answer, or nobody has."""
        state = self.state
        if form == "where_person":
            return 0.3 if state.place.get(about) == state.said["place"][-1] else 1.0
        if about in OBJECTS and about not in state.holder:
            return 0.1
        return state.telling(about) if form == "where_object" else 1.0

    def _places(self, person: str, form: str) -> dict[str, float]:
        state, rare = self.state, HELD_OUT_PLACE[person]
        if form == "place" and person in state.place:
            return {state.place[person]: 1.0}
        barred = set(state.place.values()) if form == "place" else {state.place[person]}
        options = uniform(p for p in PLACES if p not in barred and p != rare)
        if self.split == "composition" and rare not in barred:
            options[rare] = float(len(options))
        if form == "move":
            return {p: weight * state.attraction(p, person) for p, weight in options.items()}
        return options


class EventfulTale(Tale):
    """The same sentences in the same grammar, with what is rare in a story told more often.

    Things are handed over, dropped and left, or carried from place to place, and questions are
    asked about them. Compositions have the deeds of any story, but more people in their new places
    and more questions about these and about likes never asked.
    """

    def __init__(self, guide: Guide, level: str, split: str, rare: str) -> None:
        super().__init__(guide, level, split)
        self.rare = "" if split == "composition" else rare

    def _price(self, kind: str, options: Options, phrase: str, weight: float) -> None:
        """None: its weights are not those that the stories are priced by."""

    def _deeds(self, person: str) -> dict[str, float]:
        deeds, state, is_given = super()._deeds(person), self.state, self._is_given()
        often = {"give": {"give": 0.1 if is_given else 8.0}, "drop": {"drop": 10.0}}
        goes_on = {
            "give": is_given or (bool(state.held_by(person)) and not state.company(person)),
            "drop": person in state.dropped_by.values(),
            "move": bool(state.held_by(person)),
        }
        often = often.get(self.rare, {}) | ({"move": 5.0} if goes_on.get(self.rare) else {})
        return {form: often.get(form, 1.0) * weight for form, weight in deeds.items()}

    def _is_given(self) -> bool:
        state = self.state
        return any(who not in (None, state.taken_by[thing]) for thing, who in state.holder.items())

    def _questions(self) -> dict[str, Options]:
        is_left = any(
            ("where_object", thing) not in self.state.asked for thing in self.state.holder
        )
        more = {"where_object": 6.0 if is_left else 0.1}
        if self.split == "composition":
            more |= {"where_person": 4.0, "what": 20.0}
        return {
            start: {form: more.get(form, 1.0) * weight for form, weight in forms.items()}
            for start, forms in super()._questions().items()
        }

    def _curiosity(self, form: str, about: str) -> float:
        weight, state = super()._curiosity(form, about), self.state
        if about in OBJECTS:
            fate = len(state.fate(about)) if about in state.holder else 0
            return weight * (0.05, 1.0, 20.0, 20.0)[fate]
        is_new = HELD_OUT_PLACE[about] == state.place.get(about) or about in NEVER_ASKED
        return weight * (20.0 if is_new and self.split == "composition" else 1.0)

    def _places(self, person: str, form: str) -> dict[str, float]:
        options, rare = super()._places(person, form), HELD_OUT_PLACE[person]
        meets = self.rare == "give" and form == "move" and not self._is_given()
        others = self.state.place.values() if meets else ()
        return {
            place: weight * (10.0 if place in others else 3.0 if place == rare else 1.0)
            for place, weight in options.items()
        }


RARE = ("give", "drop", "give", "move", "give", "drop")
FREE = {
    slot: uniform(SLOTS[slot])
    for slot in ("weather", "time", "verb", "manner", "request", "s1", "s2", "s3")
}


class Stories:
    """The stories world; see the module's text, and `world.World` for what each member means."""

    name = "stories"
    levels = tuple(LEVELS)
    variables: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "place": tuple(PLACES),
        "mood": tuple(MOODS),
        "object_place": tuple(PLACES),
        "holder": (*PEOPLE, NOBODY),
        "likes": tuple(FOODS),
        "sense": tuple(sense for _, sense, _ in SENSES.values()),
        "weather": SLOTS["weather"],
        "time": SLOTS["time"],
        "cause": SLOTS["cause"],
        "gait": SLOTS["gait"],
        "manner": tuple(MANNERS),
    }
    concepts: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "mood": tuple(MOODS),
        "manner": tuple(MANNERS),
        "place": tuple(PLACES),
        "weather": SLOTS["weather"],
        "sense": variables["sense"],
    }

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Texts that hold every word and mark of every level."""
        parts = (part for form in FORMS for part in pieces(form, "full"))
        texts = (literal + value for literal, slot in parts for value in SLOTS.get(slot, ("",)))
        return tuple(dict.fromkeys(text for text in texts if text))

    def sample(self, seed: int, *, level: str = "full", split: str = "train") -> Story:
        """Story number `seed` of a split; the text's first two sentences decide train or held-out.

        Raises:
            ConfigError: no such level or split.
        """
        return self._sample(Tale, seed, level, split)

    def _sample(self, kind: Callable[..., Tale], seed: int, level: str, split: str) -> Story:
        check_name(self.name, "level", level, self.levels)
        check_name(self.name, "split", split, ("train", "held_out", "composition"))
        for attempt in count():
            key = f"{split}/{level}/{seed}/{attempt}"
            tale = kind(Storyteller(key), level, split).tell(sentences=2)
            if held_out(tale.text) == (split != "train"):
                return tale.tell().story(level, seed)

    def sample_eventful(self, seed: int, *, level: str = "full", split: str = "train") -> Story:
        """As `sample`, with rare events told often (`EventfulTale`), and without prices.

        Of six stories in a row three are for things handed over, two for things dropped and left,
        one for things carried on.

        Raises:
            ConfigError: no such level or split.
        """
        kind = partial(EventfulTale, rare=RARE[seed % len(RARE)])
        return self._sample(kind, seed, level, split)

    def shortcut_rules(self, story: Story) -> tuple[Mapping[str, str], ...]:
        """For each question what every rule of `skimming.py` answers, in the answer's words."""
        return tuple(
            {rule: answer_words(form, value, story.level) for rule, value in rules.items()}
            for form, rules in skim(story.events)
        )

    def read(self, text: str, *, level: str = "full", split: str = "train") -> Story:
        """A whole story read back with its facts, questions and prices.

        Raises:
            WorldError: the world cannot have told it; says where it departs.
        """
        return Tale(Reader(text), level, split).tell().story(level, None)

    def surprisal(self, text: str, *, level: str = "full") -> tuple[Choice, ...]:
        """The exact cost of every choice in a training-distribution story."""
        return self.read(text, level=level).choices

    def facts(self, text: str) -> tuple[Fact, ...]:
        """What is true along any text that is true to this world, at the full level.

        Raises:
            WorldError: a sentence is none of this world's, or not true of the story so far.
        """
        return replay(text)

    def parse(self, text: str) -> Parse:
        """Any text read back, sentence by sentence, at the full level."""
        state = State()
        return Parse(sentences=tuple(judged(state, said, text) for said in sentences(text)))


def held_out(beginning: str) -> bool:
    """Whether stories whose first two sentences are these are held out; one in ten is."""
    prefix = beginning.removesuffix(".")
    return blake2b(prefix.encode(), digest_size=4).digest()[0] % 10 == 0


WORLDS = {"stories": Stories}
