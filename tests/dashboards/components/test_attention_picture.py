"""What is downloaded of attention is what the page draws: tints, the locked token, the heads."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dashboards.components.attention import HeadNotes, HeadSelection, Scene
from dashboards.components.attention_picture import attention_picture
from dashboards.page.downloads import download_options
from interp.plots import theme
from interp.report.pictures import WIDTH

BLUE, ORANGE = theme.CATEGORICAL[:2]
TOKENS = ("<b>", "·likes", "·soup", "語")


def pattern(n_layers=2, n_heads=3, length=4):
    generator = torch.Generator().manual_seed(0)
    raw = torch.rand(n_layers, n_heads, length, length, generator=generator).tril()
    return raw / raw.sum(-1, keepdim=True)


@pytest.fixture
def scene():
    return Scene(
        tokens=TOKENS,
        weights=pattern(),
        selection=HeadSelection(layer=1, head=2, word=3),
        layers=(0, 1),
        n_layers=2,
        notes=HeadNotes(badges=[["", "", ""], ["", "", "copies"]], caption="A caption."),
        look="from",
        combine="mean",
        unit="attention weight",
    )


def texts(figure):
    return [note.text for note in figure.layout.annotations]


def tint(weight, colour=BLUE):
    """The page's color-mix of the colour with paper, by hand."""
    depth = float(weight) ** 0.5
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(depth * part + (1 - depth) * 255):02x}" for part in parts)


def fills(figure, height):
    """Colours of the filled boxes of a height, in order."""
    boxes = (s for s in figure.layout.shapes if s.fillcolor and abs(s.y1 - s.y0) == height)
    return [box.fillcolor for box in boxes]


@pytest.mark.parametrize("look, combine", [("from", "mean"), ("to", "mean"), ("from", "largest")])
@pytest.mark.parametrize("head", [2, -1])
def test_each_token_has_its_weights_tint(scene, look, combine, head):
    word = 3 if look == "from" else 0
    picked = HeadSelection(layer=1, head=head, word=word)
    scene = replace(scene, look=look, combine=combine, selection=picked)
    weights = scene.weights[1] if head < 0 else scene.weights[1, head : head + 1]
    weights = weights.mean(0) if combine == "mean" else weights.amax(0)
    row = weights[word] if look == "from" else weights[:, word]
    assert fills(attention_picture(scene), 24) == [tint(weight) for weight in row if weight > 0]


def test_the_locked_token_is_bold_and_underlined_and_nothing_is_markup(scene):
    figure = attention_picture(scene)
    assert fills(figure, 3) == [ORANGE] and "<b>語</b>" in texts(figure)
    assert "&lt;b&gt;" in texts(figure) and "<b>" not in texts(figure)
    assert {"attention weight, head 1.2", "<b>語 (3) attends to</b>", "copies"} <= {*texts(figure)}
    assert "A caption." in texts(figure)
    free = attention_picture(replace(scene, selection=HeadSelection(layer=-1, head=-1)))
    assert fills(free, 3) == fills(free, 24) == []
    assert "attention weight, mean of all heads, all layers" in texts(free)


def test_every_head_is_a_map_of_its_own_weights_with_the_picked_one_framed(scene):
    figure = attention_picture(scene)
    _, *maps = figure.data
    for one, weights in zip(maps, scene.weights.flatten(0, 1), strict=True):
        past = np.tril(np.ones((4, 4), bool))
        assert np.allclose(np.array(one.z, float)[past] ** 2, weights.numpy()[past], atol=1e-6)
        assert np.isnan(np.array(one.z, float)[~past]).all()
        assert [colour for _, colour in one.colorscale] == [theme.PAPER, BLUE]
    frames = [s.line.color for s in figure.layout.shapes if s.line.width == 2]
    assert frames == [theme.GRID] * 5 + [theme.INK]
    assert "&lt;b&gt;" in maps[0].text[0][0] and figure.layout.width == WIDTH


def test_the_effect_of_each_head_is_a_number_on_its_colour(scene):
    notes = replace(scene.notes, effect=[[0.0, 2.0, -0.5], [0.001, 1.0, 0.0]])
    figure = attention_picture(replace(scene, notes=notes))
    assert len(figure.data) == 1  # the legend alone
    assert {"+2.00", "−0.50", "0.00", "+1.00"} <= {*texts(figure)}
    colours = [s.fillcolor for s in figure.layout.shapes if s.line.width == 2]
    assert colours[1] == BLUE and colours[2] == tint(0.25**2, ORANGE)


def test_a_long_text_with_many_heads_stays_a_small_figure():
    length = 700
    many = Scene(
        tokens=["·word"] * length,
        weights=pattern(1, 40, length),
        selection=HeadSelection(layer=5, head=0, word=9),
        layers=(3,),
        n_layers=6,
        notes=HeadNotes(),
        look="from",
        combine="mean",
        unit="attention weight",
    )
    figure = attention_picture(many)
    assert sum(np.size(trace.z) for trace in figure.data) < 400_000
    right = max(shape.x1 for shape in figure.layout.shapes)
    assert right <= WIDTH and len(figure.data) == 1 + 40


def test_pictures_are_of_what_is_seen_and_tables_of_the_result(scene):
    class Table:
        def frame(self):
            import pandas as pd

            return pd.DataFrame({"a": [1]})

    options = download_options(Table(), theme.new_figure(), "", lambda: attention_picture(scene))
    by_kind = {option.kind: option for option in options}
    assert "A caption." in by_kind["html"].make() and by_kind["csv"].make() == b"a\n1\n"
