"""The village's tables do not collide, and its rules say what cannot be true, and why."""

import re
from itertools import combinations

import pytest

from interp.worlds.stories import Stories
from interp.worlds.telling import words
from interp.worlds.village import (
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
    SENSES,
    SLOTS,
    State,
    gaits,
    pieces,
)

SCENE = (
    "It is a sunny morning. Anna is in the garden. Anna is happy because of a song. "
    "Ben is in the garden. Clara is in the park. Anna takes the ball. "
)
TRUE = [
    "Anna gives the ball to Ben. Who has the ball? Ben. Where is the ball? Garden.",
    "Anna skips to the park. Where is the ball? Park. Where is Anna? Park.",
    "Anna goes to the park. Anna drops the ball. Who has the ball? Nobody. Anna skips to the "
    "market. Where is the ball? Park.",
    "Anna drops the ball. Ben takes the ball. Ben goes to the forest. Where is the ball? Forest.",
    "How is Anna? Happy. How is Ben? Nobody knows. Who has the lamp? Nobody knows.",
    "Where is the lamp? Nobody knows. Where is David? Nobody knows.",
    f"Anna likes {LIKES['Anna']}. What does Ben like? {LIKES['Ben'].capitalize()}.",
    f"What does {NEVER_TOLD[0]} like? Nobody knows.",
    f"{NEVER_TOLD[0]} likes soup. What does {NEVER_TOLD[0]} like? Soup.",
    "Ben pays at the bank and sees a coin. Ben fishes at the bank and sees a frog.",
    "Ben kindly asks wait, thank you. Ben rudely shouts wait, you fool.",
    "They sing do re mi, then do re mi. They sing la la la, then la la la.",
    "Anna is in the garden. Anna is happy because of a gift.",
]
FALSE = [
    ("Where is Anna? Park.", "the answer is Garden"),
    ("Anna goes to the park. Where is the ball? Garden.", "the answer is Park"),
    ("Where is the lamp? Garden.", "the answer is unknown"),
    ("Who has the ball? Nobody.", "the answer is Anna"),
    ("Anna drops the ball. Who has the ball? Nobody knows.", "the answer is nobody"),
    ("How is Anna? Sad.", "the answer is Happy"),
    ("How is Anna? Garden.", "the answer is Happy"),
    (f"What does {NEVER_TOLD[1]} like? Soup.", "the answer is unknown"),
    ("Garden.", "nothing was asked"),
    ("Where is Anna? Ben skips to the park.", "a question stands without an answer"),
    ("Ben drops the ball.", "Ben does not have the ball"),
    ("Anna drops the lamp.", "Anna does not have the lamp"),
    ("Ben takes the ball.", "Ben cannot take what another has"),
    ("Anna gives the ball to Clara.", "or is elsewhere"),
    ("Ben gives the ball to Anna.", "Ben does not have the ball"),
    ("Anna is in the park.", "Anna is elsewhere"),
    ("Anna is sad because of a loss.", "Anna is in another mood"),
    ("Ben is sad because of a song.", "this does not cause it"),
    ("Anna trudges to the park.", "Anna is not in that mood"),
    ("Ben skips to the park.", "Ben is not in that mood"),
    ("Ben likes nuts.", "Ben likes something else"),
    ("They sing do re mi, then do mi re.", "the echo differs"),
    ("Ben kindly asks wait, you fool.", "Ben changes manner"),
    ("Ben pays at the bank and sees a frog.", "this sense of the word"),
    ("Ben swings the ring and sees a score.", "this sense of the word"),
    ("It is a rainy night.", "the story has begun already"),
]
SALAD = [
    "Garden the in is Anna.",
    "Anna is in garden.",
    "Anna is in the the garden.",
    "anna is in the garden.",
    "Anna is in the Garden.",
    "Zoe is in the garden.",
    "Anna is in the garden?",
    "Anna  is in the garden.",
    "Where is the Anna?",
    "They sing do re, then do re.",
    ".",
    "?",
    "\x00\n.",
]


@pytest.mark.parametrize("text", TRUE)
def test_what_is_true_of_the_story_so_far_is_consistent(text):
    for sentence in Stories().parse(SCENE + text).sentences:
        assert sentence.well_formed and sentence.consistent and not sentence.why, sentence


@pytest.mark.parametrize(("text", "why"), FALSE)
def test_what_cannot_be_true_is_well_formed_inconsistent_and_says_why(text, why):
    *before, last = Stories().parse(SCENE + text).sentences
    assert all(sentence.consistent for sentence in before)
    assert last.well_formed and last.consistent is False and why in last.why


@pytest.mark.parametrize("text", SALAD)
def test_word_salad_is_not_well_formed(text):
    (sentence,) = Stories().parse(text).sentences
    assert (sentence.well_formed, sentence.consistent, sentence.kind) == (False, None, "unknown")
    assert repr(text.lstrip()) in sentence.why
    assert [s.consistent for s in Stories().parse(SCENE + text).sentences][:-1] == [True] * 6


def test_one_slip_is_counted_once():
    text = SCENE + "Where is Anna? Ben likes honey. Where is Ben? Garden. How is Anna? Happy."
    slips = [sentence.why for sentence in Stories().parse(text).sentences if sentence.why]
    assert slips == ["a question stands without an answer"]


def test_parse_shows_concepts_and_spans():
    text = (
        "  Anna trudges to the park. Ben fishes at the bank and sees a frog. How is Anna? Sad. And"
    )
    parse = Stories().parse(text)
    assert [text[slice(*s.span)] for s in parse.sentences] == [
        "Anna trudges to the park.",
        "Ben fishes at the bank and sees a frog.",
        "How is Anna?",
        "Sad.",
    ]
    assert [s.kind for s in parse.sentences] == ["move", "sense", "how", "is_mood"]
    concepts = {concept for sentence in parse.sentences for concept in sentence.concepts}
    assert {"sad", "park", "river"} <= concepts and concepts & set(MOODS) == {"sad"}


def test_words_are_of_one_kind_only():
    kinds = ["person", "place", "object", "mood", "cause", "gait", "food", "verb", "word"]
    kinds += ["tail", "manner", "ending", "request", "weather", "time", "s1"]
    for one, other in combinations(kinds, 2):
        assert not set(SLOTS[one]) & set(SLOTS[other]), (one, other)
    causes = [cause for _, causes in MOODS.values() for cause in causes]
    assert len(set(causes)) == len(causes) and len({gait for gait, _ in MOODS.values()}) == len(
        MOODS
    )
    tails = [tail for _, _, tails in SENSES.values() for tail in tails]
    assert len(set(tails)) == len(tails) == 2 * len(SENSES)
    meanings = {word: [s for w, s, _ in SENSES.values() if w == word] for word in SLOTS["word"]}
    assert all(len(set(senses)) == 2 for senses in meanings.values())
    assert len(set(MANNERS.values())) == 2


def test_what_never_changes_about_people():
    assert set(LIKES) == set(HELD_OUT_PLACE) == set(PEOPLE)
    assert set(LIKES.values()) == set(FOODS) and set(HELD_OUT_PLACE.values()) == set(PLACES)
    assert not set(NEVER_ASKED) & set(NEVER_TOLD)
    assert State().food_of(NEVER_TOLD[0]) == "" != State().food_of(NEVER_ASKED[0])


def test_moods_show_in_how_people_move():
    assert gaits(None) == {"goes": 1.0}
    for mood, (gait, _) in MOODS.items():
        assert sum(gaits(mood).values()) == pytest.approx(1) and gaits(mood)[gait] > 0.5


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_only_leaves_out_words(level):
    for form in FORMS:
        full = [part for literal, slot in pieces(form, "full") for part in (*words(literal), slot)]
        kept = [part for literal, slot in pieces(form, level) for part in (*words(literal), slot)]
        left = iter(full)
        assert all(part in left for part in kept), (form, kept)
        dropped = {part.strip() for part in full} - {part.strip() for part in kept}
        assert dropped <= LEVELS[level].leaves_out
    assert not LEVELS["full"].leaves_out


def test_no_sentence_reads_as_two_forms():
    for form in FORMS:
        text = re.sub(r"\{(\w+)\}", lambda slot: SLOTS[slot[1]][0], FORMS[form]).strip()
        (sentence,) = Stories().parse(text).sentences
        assert sentence.kind == form, text
    assert len(OBJECTS) == len(set(OBJECTS))


def test_reading_a_long_text_without_an_end_takes_no_longer_than_its_length():
    assert Stories().parse("Anna " * 200_000).sentences == ()
