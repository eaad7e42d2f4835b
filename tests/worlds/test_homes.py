"""The homes world: one text per number, exact prices, and levels that differ in the gap alone."""

import math

import pytest

from interp.core.errors import ConfigError, WorldError
from interp.worlds import load_world
from interp.worlds.homes import BETWEEN, PEOPLE, PLACES
from interp.worlds.world import World

WORLD = load_world("homes")
every_level = pytest.mark.parametrize("level", WORLD.levels)


def test_it_is_a_world():
    assert isinstance(WORLD, World)
    assert WORLD.sample(3).text == WORLD.sample(3).text != WORLD.sample(4).text
    words = " ".join(WORLD.vocabulary)
    assert all(word in words for word in (*PEOPLE, *PLACES))


@every_level
def test_a_document_is_read_back_with_its_prices(level):
    for number in range(30):
        story = WORLD.sample(number, level=level)
        again = WORLD.read(story.text, level=level)
        assert (again.facts, again.choices, again.questions) == (
            story.facts, story.choices, story.questions,
        )  # fmt: skip


@every_level
def test_every_level_costs_the_same_and_only_the_gap_differs(level):
    least = sum(math.log(8 - i) * 2 for i in range(4)) + 8 * math.log(3)
    for number in range(20):
        story = WORLD.sample(number, level=level)
        assert sum(c.surprisal_nats for c in story.choices) == pytest.approx(least)
        words = story.text.replace(".", "").split()
        between = BETWEEN[level].split()
        assert len(words) == 12 * (2 + len(between))
        assert all(words[i + 1 : i + 1 + len(between)] == between for i, word in enumerate(words)
                   if word in PEOPLE)  # fmt: skip


def test_answers_are_what_was_said_and_never_the_latest_place():
    for number in range(50):
        story = WORLD.sample(number)
        assert len(story.questions) == 8
        for question in story.questions:
            before = story.text[: question.span[0]]
            said = before.rsplit(f"{question.about} is in the ", 1)[1].split(".")[0]
            assert question.answer == f" {said}."
            assert story.text.startswith(question.answer, question.span[1])
            assert question.shortcuts["most_recent"] != question.answer


def test_the_first_two_homes_decide_the_split():
    def beginning(story):
        return tuple((f.about, f.value) for f in story.facts[:2])

    trained = {beginning(WORLD.sample(n, level=level)) for n in range(200) for level in BETWEEN}
    kept = {beginning(WORLD.sample(n, split="held_out")) for n in range(200)}
    assert not trained & kept


def test_any_text_is_judged():
    text = " Anna is in the park. Ben is in the park. Anna is in the park. Ben runs."
    judged = WORLD.parse(text).sentences
    assert [s.consistent for s in judged] == [True, False, True, None]
    assert judged[1].why and judged[0].concepts == ("park",)
    assert all(s.consistent for s in WORLD.parse(WORLD.sample(1).text).sentences)


def test_what_it_has_not_is_refused():
    with pytest.raises(ConfigError, match="Did you mean 'gap-3'"):
        WORLD.sample(0, level="gap-4")
    with pytest.raises(ConfigError, match="train, held_out"):
        WORLD.sample(0, split="composition")
    with pytest.raises(WorldError, match="cannot have told"):
        WORLD.surprisal(" Anna is in the park. Anna is in the garden.")
