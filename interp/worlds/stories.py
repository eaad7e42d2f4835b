"""A small simulated world told in plain English: people, places, things, moods, and questions.

One program tells every story. It is written left to right, each choice being the next thing the reader
sees, so sampling a story, reading one back and pricing its words are the same walk with another guide
(`telling.py`). Nothing is decided in secret: the state is always determined by the text so far.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b

from interp.errors import ConfigError, near_misses
from interp.worlds.telling import Guide, Options, Reader, Sampler, Telling, uniform
from interp.worlds.world import Choice, Fact, Parse, Question, Sentence, Span, Story

PEOPLE = "Anna Ben Clara David Emma Frank Grace Henry Iris Jack Kate Leo".split()
PLACES = "garden kitchen park school market forest library harbor".split()
OBJECTS = "ball lamp book key cup map".split()
FOODS = "apples bread cheese honey nuts soup".split()
SYLLABLES = "do re mi fa so la".split()
MOODS = {  # how a mood moves, and what causes it
    "happy": ("skips", ("gift", "song")),
    "sad": ("trudges", ("loss", "goodbye")),
    "angry": ("stomps", ("fight", "lie")),
    "calm": ("strolls", ("nap", "bath")),
}
SENSES = {  # the verb sets the sense of the word; the tail shows whether it was understood
    "fishes at": ("bank", "river", ("boat", "frog")),
    "pays at": ("bank", "money", ("coin", "clerk")),
    "feeds": ("bat", "animal", ("wing", "cave")),
    "swings": ("bat", "club", ("score", "crowd")),
    "wears": ("ring", "jewel", ("gem", "crown")),
    "hears": ("ring", "sound", ("bell", "phone")),
    "enjoys": ("spring", "season", ("flower", "bird")),
    "bends": ("spring", "coil", ("wire", "clock")),
}
MANNERS = {"polite": ("kindly asks", "thank you"), "rude": ("rudely shouts", "you fool")}

LIKES = {name: FOODS[(5 * i + 2) % 6] for i, name in enumerate(PEOPLE)}
"""What each person likes never changes from story to story."""
NEVER_ASKED = PEOPLE[8:10]
"""Their likes are told in training, but no training story asks about them."""
NEVER_TOLD = PEOPLE[10:12]
"""Their likes are told nowhere: the honest answer is that nobody knows."""
HELD_OUT_PLACE = {name: PLACES[(3 * i + 1) % 8] for i, name in enumerate(PEOPLE)}
"""One place of each person is met only in the `composition` split."""

LEVELS = {  # the words that each level leaves out, so that a value stands nearer to its owner
    "words": set("is in In the takes has a to because of".split()),
    "phrases": set("is the has a because of".split()),
    "clauses": set("the a".split()),
    "full": set(),
}
FORMS = {
    "opening": "It is a {weather} {time}.",
    "place": " {person} is in the {place}.",
    "mood": " {person} is {mood} because of a {cause}.",
    "move": " {person} {gait} to the {place}.",
    "take": " {person} takes the {object}.",
    "drop": " {person} drops the {object}.",
    "give": " {person} gives the {object} to {other}.",
    "likes": " {person} likes {food}.",
    "sense": " {person} {verb} the {word} and sees a {tail}.",
    "speech": " {person} {manner} {request}, {ending}.",
    "refrain": " They sing {s1} {s2} {s3}, then {e1} {e2} {e3}.",
    "where_person": " Where is {person}?",
    "where_object": " Where is the {object}?",
    "how": " How is {person}?",
    "who": " Who has the {object}?",
    "what": " What does {person} like?",
    "in_place": " In the {place}.",
    "is_mood": " {Mood}.",
    "is_person": " {person}.",
    "is_food": " {Food}.",
    "nobody": " Nobody.",
    "unknown": " Nobody knows.",
}
QUESTIONS = {  # a question's variable, the form of its answer, the answer's slot
    "where_person": ("place", "in_place", "place"),
    "where_object": ("object_place", "in_place", "place"),
    "how": ("mood", "is_mood", "Mood"),
    "who": ("holder", "is_person", "person"),
    "what": ("likes", "is_food", "Food"),
}
ANSWERS = {"nobody", "unknown", *(form for _, form, _ in QUESTIONS.values())}
SLOTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("person", "other"), tuple(PEOPLE)),
    **dict.fromkeys(("s1", "s2", "s3", "e1", "e2", "e3"), tuple(SYLLABLES)),
    "place": tuple(PLACES),
    "object": tuple(OBJECTS),
    "mood": tuple(MOODS),
    "Mood": tuple(mood.capitalize() for mood in MOODS),
    "cause": tuple(cause for _, causes in MOODS.values() for cause in causes),
    "gait": ("goes", *(gait for gait, _ in MOODS.values())),
    "food": tuple(FOODS),
    "Food": tuple(food.capitalize() for food in FOODS),
    "verb": tuple(SENSES),
    "word": tuple(dict.fromkeys(word for word, _, _ in SENSES.values())),
    "tail": tuple(tail for _, _, tails in SENSES.values() for tail in tails),
    "manner": tuple(manner for manner, _ in MANNERS.values()),
    "ending": tuple(ending for _, ending in MANNERS.values()),
    "request": ("wait", "listen", "stop", "look"),
    "weather": ("sunny", "rainy", "windy", "snowy"),
    "time": ("morning", "afternoon", "evening", "night"),
}
SHOWS = {  # words that show a concept, beside its own name
    **{gait: mood for mood, (gait, _) in MOODS.items()},
    **{mood.capitalize(): mood for mood in MOODS},
    **{manner: name for name, (manner, _) in MANNERS.items()},
    **{verb: sense for verb, (_, sense, _) in SENSES.items()},
}
N_PEOPLE, N_QUESTIONS, EVENTS = 3, 4, (3, 5)
ANSWER_WEIGHT = 3.0


@dataclass
class State:
    """What is true now, as far as the text has said."""

    cast: list[str] = field(default_factory=list)
    place: dict[str, str] = field(default_factory=dict)
    mood: dict[str, str] = field(default_factory=dict)
    holder: dict[str, str | None] = field(default_factory=dict)
    ground: dict[str, str | None] = field(default_factory=dict)
    taken_at: dict[str, str | None] = field(default_factory=dict)
    likes: dict[str, str] = field(default_factory=dict)
    said: dict[str, list[str]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    waiting: bool = False
    events: int = 0
    last: str = ""

    def apply(self, form: str, slots: Mapping[str, str]) -> None:
        """Let a sentence become true."""
        self.last = form
        person, thing = slots.get("person", ""), slots.get("object", "")
        for slot, value in slots.items():
            self.said.setdefault("person" if slot == "other" else slot, []).append(value)
        if form in QUESTIONS or form in ANSWERS:
            self.waiting = form in QUESTIONS
            self.asked += [(form, person or thing)] if self.waiting else []
            return
        if person and person not in self.cast:
            self.cast.append(person)
        self.events += form not in ("opening", "place", "mood")
        match form:
            case "place" | "move":
                self.place[person] = slots["place"]
            case "mood":
                self.mood[person] = slots["mood"]
            case "take":
                self.holder[thing], self.taken_at[thing] = person, self.place.get(person)
            case "drop":
                self.holder[thing], self.ground[thing] = None, self.place.get(person)
            case "give":
                self.holder[thing] = slots["other"]
            case "likes":
                self.likes[person] = slots["food"]

    def answer(self, question: str, about: str) -> tuple[str, str]:
        """The form of the honest answer, and its value (empty for `nobody` and `unknown`)."""
        if question == "who" and self.holder.get(about, "never taken") is None:
            return "nobody", ""
        value = {
            "where_person": self.place.get(about),
            "where_object": self.place_of(about),
            "how": self.mood.get(about, "").capitalize(),
            "who": self.holder.get(about),
            "what": self.food_of(about).capitalize(),
        }[question]
        return (QUESTIONS[question][1], value) if value else ("unknown", "")

    def place_of(self, thing: str) -> str | None:
        """Where a thing is: with its holder, or where it was dropped."""
        holder = self.holder.get(thing)
        return self.place.get(holder) if holder else self.ground.get(thing)

    def food_of(self, person: str) -> str:
        """What a person likes; empty when it is told nowhere."""
        return self.likes.get(person) or ("" if person in NEVER_TOLD else LIKES.get(person, ""))

    def company(self, person: str) -> list[str]:
        """Who else is in the person's place."""
        here = self.place.get(person)
        return [p for p, place in self.place.items() if p != person and place == here]

    def held_by(self, person: str) -> list[str]:
        """What a person has."""
        return [thing for thing, holder in self.holder.items() if holder == person]


def objection(state: State, form: str, slots: Mapping[str, str]) -> str:
    """Why a sentence cannot be true of the story so far; empty when it can."""
    person, thing = slots.get("person", ""), slots.get("object", "")
    if state.waiting != (form in ANSWERS):
        return "a question stands without an answer" if state.waiting else "nothing was asked"
    if form in ANSWERS:
        right, value = state.answer(*state.asked[-1])
        told = next(iter(slots.values()), "")
        return "" if (form, told) == (right, value) else f"the answer is {value or right}"
    rules = {
        "place": (
            state.place.get(person, slots.get("place")) == slots.get("place"),
            "is elsewhere",
        ),
        "mood": (
            state.mood.get(person, slots.get("mood")) == slots.get("mood")
            and slots.get("cause") in MOODS.get(slots.get("mood", ""), ("", ()))[1],
            "is in another mood, or this does not cause it",
        ),
        "move": (slots.get("gait") in gaits(state.mood.get(person)), "is not in that mood"),
        "take": (state.holder.get(thing) in (None, person), "cannot take what another has"),
        "drop": (thing in state.held_by(person), f"does not have the {thing}"),
        "give": (
            thing in state.held_by(person) and slots.get("other") in state.company(person),
            f"does not have the {thing}, or is elsewhere",
        ),
        "likes": (slots.get("food") == LIKES.get(person), "likes something else"),
        "sense": (senses_agree(slots), "sees what this sense of the word has not"),
        "speech": (
            (slots.get("manner"), slots.get("ending")) in MANNERS.values(),
            "changes manner",
        ),
        "refrain": (
            all(slots.get(f"s{i}") == slots.get(f"e{i}") for i in "123"),
            "the echo differs",
        ),
    }
    holds, why = rules.get(form, (True, ""))
    return "" if holds else f"{person} {why}".strip()


def senses_agree(slots: Mapping[str, str]) -> bool:
    """The word and the tail belong to the verb."""
    word, _, tails = SENSES.get(slots.get("verb", ""), ("", "", ()))
    return slots.get("word") == word and slots.get("tail") in tails


def gaits(mood: str | None) -> dict[str, float]:
    """How somebody in this mood moves."""
    return {MOODS[mood][0]: 0.7, "goes": 0.3} if mood else {"goes": 1.0}


@cache
def pieces(form: str, level: str) -> tuple[tuple[str, str], ...]:
    """A form at a level as (literal, slot) pairs; the last slot is empty."""
    parts = re.findall(r" ?\{\w+\}| ?\w+| ?[^\w\s]", FORMS[form])
    kept = "".join(part for part in parts if part.strip() not in LEVELS[level])
    found = re.split(r"\{(\w+)\}", kept)
    return tuple(zip(found[0::2], [*found[1::2], ""], strict=True))


class Tale(Telling):
    """One story as it is told: its text, state, choices, facts and questions."""

    def __init__(self, guide: Guide, level: str, split: str) -> None:
        super().__init__(guide)
        self.level, self.split = level, split
        self.state = State()
        self.facts: list[Fact] = []
        self.questions: list[Question] = []
        while plan := self.plan():
            self.sentence(plan)
        guide.end(len(self.text))

    def plan(self) -> dict[str, Options]:
        """What may come next: how a sentence begins, to its possible forms; empty at the end."""
        state = self.state
        if not state.last:
            return {"": {"opening": 1.0}}
        if len(state.asked) == N_QUESTIONS:
            return {}
        plan = self._introductions()
        if state.asked or (len(state.cast) == N_PEOPLE and state.events >= EVENTS[1]):
            plan = self._questions()
        elif len(state.cast) == N_PEOPLE and plan.get(f" {state.cast[-1]}", {}).get("mood") != 9.0:
            later = [self._events()] + ([self._questions()] if state.events >= EVENTS[0] else [])
            for part in later:
                for start, forms in part.items():
                    plan[start] = {**plan.get(start, {}), **forms}
        return plan

    def _introductions(self) -> dict[str, Options]:
        """Each person comes with a place, a mood or both; two of three have each."""
        state, plan = self.state, {}
        left = N_PEOPLE - len(state.cast)
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
            "move": 3.0 * here,
            "take": 2.0 * (here and len(state.holder) < 2),
            "drop": 0.8 * (here and bool(has)),
            "give": 2.0 * (bool(has) and bool(state.company(person))),
            "likes": 0.4 * (person not in NEVER_TOLD and person not in state.likes),
            "sense": 0.4,
            "speech": 0.4,
        }
        return {form: weight for form, weight in deeds.items() if weight}

    def _questions(self) -> dict[str, Options]:
        starts = {
            " Where": {"where_person": 3.0, "where_object": 3.0},
            " How": {"how": 3.0},
            " Who": {"who": 2.0},
            " What": {"what": 1.0},
        }
        slot = {"where_object": "object", "who": "object"}
        return {
            start: open_forms
            for start, forms in starts.items()
            if (
                open_forms := {
                    f: w for f, w in forms.items() if self.domain(f, slot.get(f, "person"), {})
                }
            )
        }

    def sentence(self, plan: Mapping[str, Options]) -> None:
        """Tell one sentence: how it begins, then which form, then what fills it."""
        weights = {start: sum(forms.values()) for start, forms in plan.items() if forms}
        begun = self.pick("start", weights) if "" not in plan else ""
        name = begun.strip()
        slots = {"person": name} if name in PEOPLE else {}
        starts_at = len(self.text) - len(begun)
        offered: dict[str, tuple[float, str, str]] = {}
        for form, weight in plan[begun].items():
            literal, slot = pieces(form, self.level)[len(slots)]
            domain = self.domain(form, slot, slots)
            total = sum(domain.values())
            for value, p in domain.items():
                phrase = literal + value if slots else (literal + value).removeprefix(begun)
                offered[phrase] = (weight * p / total, form, value)
        phrase = self.pick("event", {phrase: p for phrase, (p, _, _) in offered.items()})
        _, form, value = offered[phrase]
        self._fill(form, slots, value, starts_at)

    def _fill(self, form: str, slots: dict[str, str], value: str, starts_at: int) -> None:
        _, slot = pieces(form, self.level)[len(slots)]
        rest = pieces(form, self.level)[len(slots) + 1 :]
        spans = {}
        slots[slot], spans[slot] = value, (len(self.text) - len(value), len(self.text))
        for literal, slot in rest:
            if not slot:
                self.write(literal)
                continue
            domain = self.domain(form, slot, slots)
            chosen = self.pick(slot, {literal + v: p for v, p in domain.items()})
            slots[slot] = chosen.removeprefix(literal)
            spans[slot] = (len(self.text) - len(slots[slot]), len(self.text))
        self.state.apply(form, slots)
        self._note(form, slots, spans)
        if form in QUESTIONS:
            self._answer(form, *self.state.asked[-1], starts_at)

    def _note(self, form: str, slots: Mapping[str, str], spans: Mapping[str, Span]) -> None:
        """Record what the sentence stated, and what is true of the people at its end."""
        about = slots.get("person", "")
        for slot in spans:
            if slot in ("place", "mood", "cause", "weather", "time", "food", "manner", "gait"):
                self.facts.append(
                    Fact(span=spans[slot], variable=slot, value=slots[slot], about=about)
                )
        if form == "sense":
            sense, word = SENSES[slots["verb"]][1], slots["word"]
            self.facts.append(Fact(span=spans["word"], variable="sense", value=sense, about=word))
        end = (len(self.text) - 1, len(self.text))
        if form not in QUESTIONS:
            for variable, values in (("place", self.state.place), ("mood", self.state.mood)):
                self.facts += [
                    Fact(span=end, variable=variable, value=value, about=person, role="state")
                    for person, value in values.items()
                ]

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
        self.state.apply(form, {})

    def _tags(self, question: str, about: str) -> tuple[str, ...]:
        state, tags = self.state, []
        form, value = state.answer(question, about)
        who = about
        if form == "unknown":
            tags.append("unknown")
        elif question == "where_object" and (who := state.holder.get(about)):
            tags += ["carried"] + ["moved"] * (state.taken_at[about] != value)
        if question.startswith("where") and value and HELD_OUT_PLACE.get(who or "") == value:
            tags.append("composition")
        return tuple(tags)

    def _shortcuts(self, question: str, about: str) -> dict[str, str]:
        """What somebody who only skims would answer, in the answer's words."""
        slot = QUESTIONS[question][2]
        said = [v for v in self.state.said.get(slot.lower(), []) if v != about]
        guesses = {"most_recent": said[-1], "first": said[0]} if said else {}
        if question == "where_object" and (taken := self.state.taken_at.get(about)):
            guesses["where_taken"] = taken
        literal, end = (literal for literal, _ in pieces(QUESTIONS[question][1], self.level))
        fits = str.capitalize if slot[0].isupper() else str
        return {name: f"{literal}{fits(guess)}{end}" for name, guess in guesses.items()}

    def domain(self, form: str, slot: str, slots: Mapping[str, str]) -> dict[str, float]:
        """The values that may fill a slot now, with their weights."""
        state, person = self.state, slots.get("person", "")
        match slot:
            case "":
                return {"": 1.0}
            case "place":
                return self._places(person, form)
            case "mood":
                return uniform(mood for mood in MOODS if mood not in state.mood.values())
            case "cause":
                return uniform(MOODS[slots["mood"]][1])
            case "gait":
                return gaits(state.mood.get(person))
            case "object" if form in QUESTIONS:
                return {thing: 4.0 if thing in state.holder else 0.5 for thing in OBJECTS
                        if (form, thing) not in state.asked}  # fmt: skip
            case "object":
                return uniform(
                    state.held_by(person)
                    if form in ("drop", "give")
                    else [thing for thing in OBJECTS if thing not in state.holder]
                )
            case "other":
                return uniform(state.company(person))
            case "person":
                barred = NEVER_ASKED if form == "what" and self.split != "composition" else ()
                return uniform(
                    p for p in state.cast if p not in barred and (form, p) not in state.asked
                )
            case "food":
                return {LIKES[person]: 1.0}
            case "word" | "tail":
                word, _, tails = SENSES[slots["verb"]]
                return uniform(tails) if slot == "tail" else {word: 1.0}
            case "ending":
                return {dict(MANNERS.values())[slots["manner"]]: 1.0}
            case "e1" | "e2" | "e3":
                return {slots[slot.replace("e", "s")]: 1.0}
        return uniform(SLOTS[slot])

    def _places(self, person: str, form: str) -> dict[str, float]:
        state, rare = self.state, HELD_OUT_PLACE[person]
        barred = set(state.place.values()) if form == "place" else {state.place[person]}
        options = uniform(p for p in PLACES if p not in barred and p != rare)
        if self.split == "composition" and rare not in barred:
            options[rare] = float(len(options))
        return options


class Stories:
    """The stories world; see the module's text, and `world.World` for what each member means."""

    name = "stories"
    levels = tuple(LEVELS)
    variables = {
        "place": tuple(PLACES),
        "mood": tuple(MOODS),
        "object_place": tuple(PLACES),
        "holder": tuple(PEOPLE),
        "likes": tuple(FOODS),
        "sense": tuple(sense for _, sense, _ in SENSES.values()),
        "weather": SLOTS["weather"],
        "time": SLOTS["time"],
    }
    concepts = {
        "mood": tuple(MOODS),
        "manner": tuple(MANNERS),
        "place": tuple(PLACES),
        "weather": SLOTS["weather"],
        "sense": variables["sense"],
    }

    def sample(self, seed: int, *, level: str = "full", split: str = "train") -> Story:
        """Story number `seed` of a split; the text's first two sentences decide train or held-out.

        Raises:
            ConfigError: no such level or split.
        """
        _known("level", level, self.levels)
        _known("split", split, ("train", "held_out", "composition"))
        attempt = 0
        while True:
            key = f"{split}/{level}/{seed}/{attempt}"
            tale = Tale(Sampler(key), level, split)
            if held_out(tale.text) == (split != "train"):
                return _story(tale, level, seed)
            attempt += 1

    def read(self, text: str, *, level: str = "full", split: str = "train") -> Story:
        """A whole story read back with its facts, questions and prices.

        Raises:
            WorldError: the world cannot have told it; says where it departs.
        """
        return _story(Tale(Reader(text), level, split), level, None)

    def surprisal(self, text: str, *, level: str = "full") -> tuple[Choice, ...]:
        """The exact cost of every choice in a training-distribution story."""
        return self.read(text, level=level).choices

    def parse(self, text: str) -> Parse:
        """Any text read back, sentence by sentence, at the full level."""
        state, sentences = State(), []
        for match in re.finditer(r"[^.?]*[.?]", text):
            sentences.append(_sentence(state, match))
        return Parse(sentences=tuple(sentences))


def held_out(text: str) -> bool:
    """Whether a text belongs to the held-out stories: one prefix in ten, by its first two sentences."""
    prefix = ".".join(text.split(".", 2)[:2])
    return blake2b(prefix.encode(), digest_size=4).digest()[0] % 10 == 0


def _known(what: str, name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        raise ConfigError(f"The stories world has no {what} {name!r}.{near_misses(name, names)}")


def _story(tale: Tale, level: str, seed: int | None) -> Story:
    return Story(
        text=tale.text,
        facts=tuple(tale.facts),
        choices=tuple(tale.choices),
        questions=tuple(tale.questions),
        level=level,
        seed=seed,
    )


@cache
def _pattern(form: str) -> re.Pattern[str]:
    parts = []
    for literal, slot in pieces(form, "full"):
        values = "|".join(map(re.escape, SLOTS.get(slot, ())))
        parts += [re.escape(literal), f"(?P<{slot}>{values})" if slot else ""]
    return re.compile("".join(parts).removeprefix(re.escape(" ")))


def _sentence(state: State, match: re.Match[str]) -> Sentence:
    said = match.group().strip()
    start = match.end() - len(match.group().lstrip())
    for form in FORMS:
        if found := _pattern(form).fullmatch(said):
            slots = found.groupdict()
            why = objection(state, form, slots)
            state.apply(form, slots)
            return Sentence(
                span=(start, match.end()),
                well_formed=True,
                consistent=not why,
                kind=form,
                concepts=tuple(SHOWS.get(value, value) for value in slots.values()),
                why=why,
            )
    return Sentence(
        span=(start, match.end()), well_formed=False, consistent=None, kind="unknown",
        why=f"no sentence of this world reads {said!r}",
    )  # fmt: skip


WORLDS = {"stories": Stories}
