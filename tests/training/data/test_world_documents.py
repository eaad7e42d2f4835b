"""Several processes write what one writes, in the same order, and leave nothing behind."""

import multiprocessing

import pytest

from interp.core.errors import ConfigError
from interp.training.data.world_documents import story_document, world_documents
from interp.worlds.stories import Stories

NUMBERS = range(2**33, 2**33 + 1_001)


def documents(numbers, processes, world=None):
    """Documents of the easiest level."""
    world = world or Stories()
    return world_documents(world, numbers, level="echo", split="train", processes=processes)


@pytest.mark.parametrize("processes", [2, 3, None])
def test_several_processes_write_what_one_writes(processes):
    assert list(documents(NUMBERS, processes)) == list(documents(NUMBERS, 1))
    assert multiprocessing.active_children() == []


def test_documents_hold_what_their_choices_cost():
    story = Stories().sample(3)
    document = story_document(story)
    assert document.text == story.text
    assert sum(nats for _, _, nats in document.floor) == sum(
        choice.surprisal_nats for choice in story.choices
    )
    assert {weight for _, _, weight in document.weights} == {3.0}


class Local:
    """A world that cannot be pickled, and has an end."""

    def __init__(self) -> None:
        self.sample_one = lambda seed, **options: Stories().sample(seed, **options)

    def sample(self, seed, **options):
        """A story, up to a number."""
        if seed > NUMBERS[900]:
            raise ConfigError("This world has no more stories.")
        return self.sample_one(seed, **options)


def test_an_error_of_the_world_comes_through():
    written = documents(NUMBERS, 2, Local())
    assert next(written) == next(documents(NUMBERS, 1))
    with pytest.raises(ConfigError, match="no more stories"):
        list(written)
    assert multiprocessing.active_children() == []


def test_whoever_stops_listening_stops_the_processes():
    written = documents(NUMBERS, 2)
    next(written)
    del written
    assert multiprocessing.active_children() == []


def test_no_numbers_give_no_documents():
    assert list(documents([], 2)) == []
