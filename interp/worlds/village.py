"""The village of the stories: who and what there is, how it is said, and what is true."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

PEOPLE = [
    "Anna",
    "Ben",
    "Clara",
    "David",
    "Emma",
    "Frank",
    "Grace",
    "Henry",
    "Iris",
    "Jack",
    "Kate",
    "Leo",
]
PLACES = ["garden", "kitchen", "park", "school", "market", "forest", "library", "harbor"]
OBJECTS = ["ball", "lamp", "book", "key", "cup", "map"]
FOODS = ["apples", "bread", "cheese", "honey", "nuts", "soup"]
SYLLABLES = ["do", "re", "mi", "fa", "so", "la"]
MOODS = {  # how a mood moves, and what causes it
    "happy": ("skips", ("gift", "song")),
    "sad": ("trudges", ("loss", "goodbye")),
    "angry": ("stomps", ("fight", "lie")),
    "calm": ("strolls", ("nap", "bath")),
    "proud": ("marches", ("medal", "win")),
    "tired": ("limps", ("storm", "cold")),
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


@dataclass(frozen=True, kw_only=True)
class Level:
    """How hard a story is.

    Attributes:
        leaves_out: words and marks not said, so that a value stands nearer to its owner.
        people: the fewest and the most people that are introduced.
        events: the fewest and the most events before the first question.
        questions: how many questions are asked.
        recited: how many facts are said again, mostly in the order they came in.
    """

    leaves_out: frozenset[str] = frozenset()
    people: tuple[int, int] = (3, 3)
    events: tuple[int, int] = (7, 9)
    questions: int = 5
    recited: int = 0


_BARE = frozenset(["is", "in", "the", "takes", "has", "a", "to", "because", "of"])
LEVELS = {
    "echo": Level(leaves_out=_BARE | {"."}, people=(2, 6), events=(0, 0), questions=0, recited=10),
    "words": Level(leaves_out=_BARE | {"?"}, events=(3, 6), questions=6),
    "phrases": Level(leaves_out=_BARE - {"in", "takes", "to"}, events=(4, 7), questions=6),
    "clauses": Level(leaves_out=frozenset(["the", "a"]), events=(5, 8), questions=6),
    "full": Level(),
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
    "is_place": " {Place}.",
    "is_mood": " {Mood}.",
    "is_person": " {person}.",
    "is_food": " {Food}.",
    "nobody": " Nobody.",
    "unknown": " Nobody knows.",
}
QUESTIONS = {  # a question's variable, the form of its answer, the answer's slot
    "where_person": ("place", "is_place", "Place"),
    "where_object": ("object_place", "is_place", "Place"),
    "how": ("mood", "is_mood", "Mood"),
    "who": ("holder", "is_person", "person"),
    "what": ("likes", "is_food", "Food"),
}
ANSWERS = {"nobody", "unknown", *(form for _, form, _ in QUESTIONS.values())}
SLOTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("person", "other"), tuple(PEOPLE)),
    **dict.fromkeys(("s1", "s2", "s3", "e1", "e2", "e3"), tuple(SYLLABLES)),
    "place": tuple(PLACES),
    "Place": tuple(place.capitalize() for place in PLACES),
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
    **{word.capitalize(): word for word in (*MOODS, *PLACES)},
    **{manner: name for name, (manner, _) in MANNERS.items()},
    **{verb: sense for verb, (_, sense, _) in SENSES.items()},
}
STATED = {  # slots that state a fact, and its variable
    **{slot: slot for slot in ("place", "mood", "cause", "gait", "manner", "weather", "time")},
    "food": "likes",
    "word": "sense",
}
ANSWER_WEIGHT = 3.0
THINGS_IN_PLAY = 2
"""How many things a story moves about, so that each has a history."""
CURIOSITY = {"retaken": 9.0, "handed_over": 2.0, "left": 2.0}
"""How likely it is asked where a thing is to which this happened, the first that did."""


@dataclass
class State:
    """What is true now, as far as the text has said.

    Attributes:
        cast: people in the order in which they came in.
        place: place of each person who has one.
        mood: mood of each person who has one.
        holder: who has each thing that was ever taken; None while it lies somewhere.
        ground: place where each thing was dropped last.
        taken_at: place where each thing was taken last.
        taken_by: who took each thing last.
        dropped_by: who dropped each thing last.
        n_moved: how often each thing came to another place with its holder.
        restless: who has taken, given, got or dropped something, and not moved since.
        likes: food of each person of whom the story says it.
        said: values in the order in which they were said, by slot.
        asked: questions so far, as form and whom or what it is about.
        waiting: the last sentence asked, so that an answer comes next.
        events: sentences since the introductions that changed or added something.
        recited: facts that were said again.
        last: form of the last sentence; empty at the beginning.
    """

    cast: list[str] = field(default_factory=list)
    place: dict[str, str] = field(default_factory=dict)
    mood: dict[str, str] = field(default_factory=dict)
    holder: dict[str, str | None] = field(default_factory=dict)
    ground: dict[str, str | None] = field(default_factory=dict)
    taken_at: dict[str, str | None] = field(default_factory=dict)
    taken_by: dict[str, str] = field(default_factory=dict)
    dropped_by: dict[str, str] = field(default_factory=dict)
    n_moved: dict[str, int] = field(default_factory=dict)
    restless: set[str] = field(default_factory=set)
    likes: dict[str, str] = field(default_factory=dict)
    said: dict[str, list[str]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    waiting: bool = False
    events: int = 0
    recited: int = 0
    last: str = ""

    def apply(self, form: str, slots: Mapping[str, str]) -> None:
        """Let a sentence become true."""
        self.last, self.waiting = form, form in QUESTIONS
        person, thing = slots.get("person", ""), slots.get("object", "")
        for slot, value in slots.items():
            self.said.setdefault("person" if slot == "other" else slot, []).append(value)
        if form in QUESTIONS or form in ANSWERS:
            self.asked += [(form, person or thing)] if self.waiting else []
            return
        self.recited += self.holds(form, slots)
        if person and person not in self.cast:
            self.cast.append(person)
        self.events += form not in ("opening", "place", "mood")
        if form in ("take", "drop", "give"):
            self.restless |= {person, slots.get("other", person)}
        match form:
            case "place" | "move":
                for carried in self.held_by(person) if form == "move" else ():
                    self.n_moved[carried] = self.n_moved.get(carried, 0) + 1
                self.place[person] = slots["place"]
                self.restless.discard(person)
            case "mood":
                self.mood[person] = slots["mood"]
            case "take":
                self.holder[thing], self.taken_at[thing] = person, self.place.get(person)
                self.taken_by[thing] = person
            case "drop":
                self.holder[thing], self.ground[thing] = None, self.place.get(person)
                self.dropped_by[thing] = person
            case "give":
                self.holder[thing] = slots["other"]
            case "likes":
                self.likes[person] = slots["food"]

    def holds(self, form: str, slots: Mapping[str, str]) -> bool:
        """Whether a place or a holding is already so."""
        if form == "place":
            return self.place.get(slots["person"]) == slots["place"]
        return form == "take" and self.holder.get(slots["object"]) == slots["person"]

    def answer(self, question: str, about: str) -> tuple[str, str]:
        """The form of the honest answer, and its value (empty for `nobody` and `unknown`)."""
        if question == "who" and self.holder.get(about, "never taken") is None:
            return "nobody", ""
        value = {
            "where_person": self.place.get(about, "").capitalize(),
            "where_object": (self.place_of(about) or "").capitalize(),
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

    def fate(self, thing: str) -> list[str]:
        """What happened to a thing that was taken, as tags.

        `handed_over`: another has it than took it, who is elsewhere; `left`: it lies where its
        dropper is no longer; `retaken`: it was taken again, and is not where it had been dropped.
        """
        holder, place = self.holder[thing], self.place_of(thing)
        happened = {
            "handed_over": holder is not None and self.place.get(self.taken_by[thing]) != place,
            "retaken": holder is not None and self.ground.get(thing, place) != place,
            "left": holder is None and self.place.get(self.dropped_by[thing]) != place,
        }
        return [name for name, is_so in happened.items() if is_so] + [
            f"moves={self.n_moved.get(thing, 0)}"
        ]

    def telling(self, thing: str) -> float:
        """How likely it is asked where a thing is that was taken: more where rules err."""
        happened = self.fate(thing)
        usual = 0.4 if self.holder[thing] and "moves=0" not in happened else 0.1
        return next((weight for fate, weight in CURIOSITY.items() if fate in happened), usual)

    def attraction(self, place: str, person: str) -> float:
        """How much likelier a person goes to a place because of what lies or who is there."""
        if any(not who and self.ground[thing] == place for thing, who in self.holder.items()):
            return 4.0
        is_met = any(where == place for who, where in self.place.items() if who != person)
        return 3.0 if is_met else 1.0

    def company(self, person: str) -> list[str]:
        """Who else is in the person's place."""
        here = self.place.get(person)
        return [p for p, place in self.place.items() if p != person and place == here]

    def lying_with(self, person: str) -> list[str]:
        """What was dropped, and lies, in a person's place."""
        here = self.place.get(person)
        return [
            thing
            for thing, holder in self.holder.items()
            if holder is None and self.ground.get(thing) == here
        ]

    def held_by(self, person: str) -> list[str]:
        """What a person has."""
        return [thing for thing, holder in self.holder.items() if holder == person]


@cache
def answer_words(question: str, value: str, level: str) -> str:
    """An answer as it stands in the text.

    Args:
        question: form of the question.
        value: what is answered; empty for `nobody`.
        level: the story's level.
    """
    form, slot = QUESTIONS[question][1:] if value else ("nobody", "")
    fits = value.capitalize() if slot[:1].isupper() else value
    return "".join(literal + (fits if slot else "") for literal, slot in pieces(form, level))


def objection(state: State, form: str, slots: Mapping[str, str]) -> str:
    """Why a sentence cannot be true of the story so far; empty when it can."""
    person, thing = slots.get("person", ""), slots.get("object", "")
    if state.waiting != (form in ANSWERS):
        return "a question stands without an answer" if state.waiting else "nothing was asked"
    if form in ANSWERS:
        right, value = state.answer(*state.asked[-1])
        given = next(iter(slots.values()), "")
        return "" if (form, given) == (right, value) else f"the answer is {value or right}"
    rules = {
        "opening": (not state.last, "the story has begun already"),
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
        "take": (
            state.holder.get(thing, person) == person or thing in state.lying_with(person),
            "cannot take what another has, or what lies elsewhere",
        ),
        "drop": (thing in state.held_by(person), f"does not have the {thing}"),
        "give": (
            thing in state.held_by(person) and slots.get("other") in state.company(person),
            f"does not have the {thing}, or is elsewhere",
        ),
        "likes": (
            slots.get("food") == (state.food_of(person) or slots.get("food")),
            "likes something else",
        ),
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
    kept = "".join(part for part in parts if part.strip() not in LEVELS[level].leaves_out)
    fields = re.split(r"\{(\w+)\}", kept)
    return tuple(zip(fields[0::2], [*fields[1::2], ""], strict=True))
