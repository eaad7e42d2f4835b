"""Figures of probes and concepts: every control is drawn, text is escaped."""

from pathlib import Path

import pytest

from interp.analyses.probing.concept import concept
from interp.analyses.probing.probe import Probe, probe
from interp.core.errors import ConfigError
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.tokenizer import Tokenizer
from tests.analyses.tiny_world import TinyWorld

WORLD = TinyWorld()


@pytest.fixture(scope="module")
def model() -> GPT:
    tokenizer = Tokenizer.words(WORLD.sample(seed).text for seed in range(200))
    cfg = GPTConfig(n_layers=1, d_model=16, n_heads=2, d_vocab=tokenizer.d_vocab, n_ctx=64)
    return GPT(cfg, tokenizer)


@pytest.fixture(scope="module")
def result(model: GPT) -> Probe:
    return probe(model, WORLD, "place", at="stated", n_stories=120, n_untrained=1)


def test_every_control_is_in_the_picture(result: Probe) -> None:
    figure = result.figure()
    named = " ".join(trace.name or "" for trace in figure.data)
    for control in ("linear probe", "shuffled labels", "control task", "untrained model"):
        assert control in named
    assert figure.layout.annotations[0].text == "majority"
    assert figure.layout.xaxis.ticktext == result.sites
    assert "accuracy" in figure.layout.yaxis.title.text


def test_the_confusion_view_has_a_cell_for_each_pair(result: Probe) -> None:
    grid = result.figure(view="confusion").data[0]
    assert grid.z.shape == (4, 4) and "share" in grid.colorbar.title.text


def test_a_view_that_is_not_there_is_refused(result: Probe) -> None:
    with pytest.raises(ConfigError, match="one of accuracy, confusion; got 'where'"):
        result.figure(view="where")


def test_markup_in_labels_is_shown_and_not_obeyed(model: GPT, tmp_path: Path) -> None:
    texts = [WORLD.sample(seed).text for seed in range(90)]
    rows = [f'"{text}",{"<b>x</b>" if i % 2 else "y"}' for i, text in enumerate(texts)]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["text,label", *rows]))
    labelled = probe(model, labels=path, n_untrained=0)
    assert "<b>x" not in labelled.figure(view="confusion").to_json()


def test_a_concept_is_drawn_as_two_histograms(model: GPT) -> None:
    glad = concept(model, "glad", world=WORLD, at="stated", site=("resid_post", 0))
    figure = glad.figure()
    assert [trace.name for trace in figure.data] == ["others", "glad"]
    assert "median norm" in figure.layout.xaxis.title.text
