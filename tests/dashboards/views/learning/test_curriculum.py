"""The page of curricula: one run alone, several runs, and what cannot be compared."""

import pytest

from dashboards.views.learning.curriculum import commands
from interp.models.config import GPTConfig
from interp.runs.curriculum import group_of
from interp.training.data.sources import write_world_corpus
from interp.training.loop.pretrain import train
from interp.training.recipe.config import TrainConfig
from interp.training.recipe.pacing import paced, pacing_by_name
from interp.worlds import load_world
from tests.dashboards.page.test_result_card import run

LEVELS = ("gap-0", "gap-1")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two tiny runs on the world of homes."""
    root = tmp_path_factory.mktemp("runs")
    options = {"n_documents": 20, "n_held_out": 3, "levels": LEVELS}
    corpus = write_world_corpus(load_world("homes"), root.parent / "homes-corpus", **options)
    for name, order in (("forth-0", "curriculum"), ("back-0", "anti")):
        shape = GPTConfig(
            n_layers=1, d_model=16, n_heads=2, n_ctx=48, d_vocab=corpus.tokenizer.d_vocab
        )
        config = TrainConfig(
            model=shape, steps=4, batch_size=4, context=24, rows="document",
            stages=paced(LEVELS, 4, order=order), eval_tokens=64,
        )  # fmt: skip
        train(config, corpus.folder, root / name, device="cpu", threads=1)
    return root


def test_two_runs_are_compared_when_it_is_asked_for(application, runs):
    test = application("curriculum", folder=runs, model="forth-0", lessons="10")
    assert not test.exception and not test.error
    assert any("to measure with these settings" in each.value for each in test.caption)
    test.multiselect(key="compared").set_value(["back-0"]).run()
    test.selectbox(key="baseline").set_value("back").run()
    test.button(key="compare").click().run()
    assert not test.exception and not test.error
    finding = " ".join(each.value for each in test.markdown)
    assert "forth against back" in finding and "too few seeds" in finding
    test.selectbox(key="curriculum_view").set_value("end").run()
    test.button(key="add_curriculum").click().run()
    (part,) = test.session_state["report_parts"]
    assert part.options == {"view": "end"} and part.result.levels == LEVELS
    test.toggle(key="code_curriculum").set_value(True).run()
    again = run(test.code[-1].value)["result"]
    assert again == part.result


def test_a_run_alone_is_shown_and_told_how_to_get_others(application, runs, tmp_path):
    (tmp_path / "forth-0").symlink_to(runs / "forth-0")
    test = application("curriculum", folder=tmp_path, lessons="10")
    assert not test.exception and not test.error
    lines = test.code[0].value.splitlines()
    assert len(lines) == 4 and all(line.startswith("interp train --world homes ") for line in lines)
    for order in ("forth", "shuffled"):
        names = [line.split("--out runs/")[1].split()[0] for line in lines if order in line]
        assert names == [f"homes-{order}-0", f"homes-{order}-1"]
        assert {group_of(name) for name in names} == {f"homes-{order}"}
    assert any("gap-0, gap-1" in each.value.replace("\\", "") for each in test.caption)
    test.button(key="compare").click().run()
    assert not test.exception and not test.error
    assert any("nothing to compare" in each.value for each in test.markdown)


def test_other_text_has_no_levels(application):
    test = application("curriculum", model="bytes")
    assert not test.exception and any("simulated world" in each.value for each in test.info)


@pytest.mark.parametrize("world", ["homes", "stories"])
def test_the_commands_are_of_the_world_on_the_page_and_can_be_given(world):
    for line in commands(load_world(world)).splitlines():
        words = line.split()
        assert words[words.index("--world") + 1] == world
        pacing, order = pacing_by_name(words[words.index("--curriculum") + 1])
        assert paced(load_world(world).levels, 100, pacing=pacing, order=order)
