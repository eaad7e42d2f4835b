"""The page on worlds shows what the worlds tell, and its example is a world."""

import doctest
import math
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from interp.core.errors import WorldError
from interp.models.tokenizer import Tokenizer
from interp.worlds import world_names
from interp.worlds.world import World

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "worlds.md").read_text(encoding="utf-8")


def test_the_page_shows_what_is_told():
    test = doctest.DocTestParser().get_doctest(PAGE, {}, "worlds.md", "docs/worlds.md", 0)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    assert runner.run(test, out=said.append).failed == 0, "".join(said)
    assert len(test.examples) > 5


def test_the_page_names_every_world():
    assert [name for name in world_names() if name not in PAGE.lower()] == []


def test_the_world_of_the_page_is_a_world(tmp_path):
    (code,) = re.findall(r"```python\n# interp/worlds/coins.py\n(.*?)```", PAGE, flags=re.DOTALL)
    (tmp_path / "coins.py").write_text(code, encoding="utf-8")
    spec = spec_from_file_location("coins", tmp_path / "coins.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    world = module.WORLDS["coins"]()
    assert isinstance(world, World)
    tokenizer, beginnings = Tokenizer.words(world.vocabulary), {}
    for split in ("train", "held_out"):
        stories = [world.sample(seed, split=split) for seed in range(60)]
        beginnings[split] = {story.text[:38] for story in stories}
        for story in stories:
            assert world.surprisal(story.text) == story.choices and tokenizer.encode(story.text)
            assert math.isclose(sum(c.surprisal_nats for c in story.choices), 6 * math.log(2))
            assert all(s.consistent for s in world.parse(story.text).sentences)
            (question,) = story.questions
            assert story.text[question.span[1] :] == question.answer
            heads = story.text[: question.span[0]].count("heads")
            assert story.facts[-1].value == str(heads)
    assert beginnings["train"] and beginnings["held_out"]
    assert not beginnings["train"] & beginnings["held_out"]
    with pytest.raises(WorldError, match="at character 14"):
        world.surprisal("The coin shows edge.")
    assert [s.well_formed for s in world.parse("The coin shows edge.").sentences] == [False]
