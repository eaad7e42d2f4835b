"""What a reader would answer who follows one rule instead of the story.

A rule looks up one mention by its order (the first, the second, the one before last, the last) and
takes the place, person or mood that goes with it, as it was then or as it is now: "where its first
taker is now", "the last place said". No rule looks up what the story says last of the very person
who is asked for, or whether a thing lies or is held: that would be following the story. A thing's
last handler is looked up: where that one is now is right while the thing is held, and wrong once it
was dropped and left.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from interp.worlds.village import ANSWERS, MOODS, OBJECTS, QUESTIONS
from interp.worlds.world import Event

ORDERS: Mapping[str, int] = {"first": 0, "second": 1, "before-last": -2, "last": -1}
SHOWN = {gait: mood for mood, (gait, _) in MOODS.items()}
Rules = dict[str, str]
T = TypeVar("T")
NOBODY = ""
"""The guess that nobody has it: an answer without a value."""


@dataclass(frozen=True)
class Contact:
    """A person named in a sentence about a thing, and where that person was then."""

    person: str
    place: str


@dataclass
class Skimmed:
    """What was mentioned so far, in order.

    Attributes:
        place: where each person is now.
        mood: mood of each person who has one.
        food: food of each person of whom it was said.
        places: places of each person, in order.
        contacts: of each thing and of `anything`, by role, who had to do with it.
        said: values in order, by slot.
        people: everybody who was named, in order.
        movers: everybody who moved, in order.
    """

    place: dict[str, str] = field(default_factory=dict)
    mood: dict[str, str] = field(default_factory=dict)
    food: dict[str, str] = field(default_factory=dict)
    places: dict[str, list[str]] = field(default_factory=dict)
    contacts: dict[tuple[str, str], list[Contact]] = field(default_factory=dict)
    said: dict[str, list[str]] = field(default_factory=dict)
    people: list[str] = field(default_factory=list)
    movers: list[str] = field(default_factory=list)

    def hear(self, event: Event) -> None:
        """Go on by a sentence."""
        slots, kind = event.slots, event.kind
        for slot in ("place", "mood", "food", "gait"):
            if slot in slots and slots[slot] != "goes":
                self.said.setdefault(slot, []).append(slots[slot])
        if kind in QUESTIONS or kind in ANSWERS:
            return
        person = slots.get("person", "")
        self.people += [name for slot in ("person", "other") if (name := slots.get(slot))]
        if "place" in slots:
            self.place[person] = slots["place"]
            self.places.setdefault(person, []).append(slots["place"])
            self.movers += [person] * (kind == "move")
        if "mood" in slots:
            self.mood[person] = slots["mood"]
        if "food" in slots:
            self.food[person] = slots["food"]
        for role in {"take": ("taker",), "drop": ("dropper",), "give": ("giver",)}.get(kind, ()):
            self._meet(slots["object"], role, person)
        if other := slots.get("other"):
            self._meet(slots["object"], "receiver", other)

    def _meet(self, thing: str, role: str, person: str) -> None:
        contact = Contact(person, self.place.get(person, ""))
        for what in (thing, "anything"):
            for whose in (role, "handler"):
                self.contacts.setdefault((what, whose), []).append(contact)

    def rules(self, question: str, about: str) -> Rules:
        """What each rule answers, by its words; rules that find nothing are left out."""
        guesses = self._of_the_thing(question, about) if about in OBJECTS else {}
        guesses |= dict(self._of_anybody(question, about))
        if question == "where_person" and len(own := self.places.get(about, [])) > 1:
            guesses["the first place said of the one asked for"] = own[0]
            guesses["the place before the last said of the one asked for"] = own[-2]
        return guesses

    def _of_the_thing(self, question: str, about: str) -> Rules:
        guesses: Rules = {}
        for role in ("taker", "dropper", "giver", "receiver", "handler"):
            for order, contact in _in_order(self.contacts.get((about, role), ())):
                if question == "who":
                    guesses[f"its {order} {role}"] = contact.person
                else:
                    guesses[f"where its {order} {role} was then"] = contact.place
                    guesses[f"where its {order} {role} is now"] = self.place.get(contact.person, "")
        if question == "who" and (about, "dropper") in self.contacts:
            guesses["nobody, where it was ever dropped"] = NOBODY
        return guesses

    def _of_anybody(self, question: str, about: str) -> Iterator[tuple[str, str]]:
        slot, value = {
            "where_person": ("place", self.place.get),
            "where_object": ("place", self.place.get),
            "who": ("person", lambda person: person),
            "how": ("mood", self.mood.get),
            "what": ("food", self.food.get),
        }[question]
        yield from self._of_people(slot, value, about)
        for order, said in _in_order(self.said.get(slot, ())):
            yield f"the {order} {slot} said", said
        for order, gait in _in_order(self.said.get("gait", ()) if question == "how" else ()):
            yield f"the mood that the {order} gait shows", SHOWN[gait]

    def _of_people(
        self, slot: str, value: Callable[[str], str | None], about: str
    ) -> Iterator[tuple[str, str]]:
        takers = [contact.person for contact in self.contacts.get(("anything", "taker"), ())]
        handlers = [contact.person for contact in self.contacts.get(("anything", "handler"), ())]
        lists = {
            "person named": self.people,
            "mover": self.movers,
            "taker of anything": takers,
            "handler of anything": handlers,
            "one introduced": list(dict.fromkeys(self.people)),
        }
        what = "" if slot == "person" else f"the {slot} of "
        for name, people in lists.items():
            for order, person in _in_order([p for p in people if p != about]):
                if guess := value(person):
                    yield f"{what}the {order} {name}", guess


def skim(events: Sequence[Event]) -> list[tuple[str, Rules]]:
    """For each question of a story its form and what every rule answers, as values.

    Args:
        events: the story's sentences in order.
    """
    skimmed, answers = Skimmed(), []
    for event in events:
        if event.kind in QUESTIONS:
            about = event.slots.get("person") or event.slots["object"]
            answers.append((event.kind, skimmed.rules(event.kind, about)))
        skimmed.hear(event)
    return answers


def _in_order(mentions: Sequence[T]) -> Iterator[tuple[str, T]]:
    n = len(mentions)
    for order, place in ORDERS.items():
        if -n <= place < n:
            yield order, mentions[place]
