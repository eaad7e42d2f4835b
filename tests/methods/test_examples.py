"""Examples of a world: where there are none, the sentence says why."""

import pytest

import interp
from interp.core.errors import ConfigError, NotEnoughDataError
from interp.methods.batches import nats_per_token
from interp.methods.data.examples import sample_stories, world_examples


def test_a_context_that_no_place_fits_in_is_named_and_not_the_number_of_stories():
    world, model = interp.load_world("stories"), interp.load_model("stories-demo")
    stories = sample_stories(world, 20, seed=0, level=world.levels[-1], split="held_out")
    with pytest.raises(NotEnoughDataError, match="context of 8 tokens") as refused:
        world_examples(model.tokenizer, stories, "place", max_tokens=8)
    assert "more stories" not in str(refused.value)
    assert world_examples(model.tokenizer, stories, "place", max_tokens=256)


@pytest.mark.parametrize("world", [None, "stories", 3])
def test_what_is_no_world_is_refused(world):
    with pytest.raises(ConfigError, match=r"interp\.load_world"):
        interp.comprehension(interp.load_model("stories-demo"), world)


def test_a_row_without_a_token_is_named():
    with pytest.raises(NotEnoughDataError, match="row 1 has none"):
        nats_per_token(interp.load_model("stories-demo"), [[1, 2], []])
