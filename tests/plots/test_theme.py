"""The theme's promises: escaped text, units, small JSON, layers run down, controls are grey."""

import json

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from plotly.subplots import make_subplots

from interp.core.errors import ConfigError
from interp.core.statistics.intervals import Interval
from interp.plots import theme
from tests.toy import make_toy

HOSTILE = ("<b>bold</b>", "<script>x</script>", "a&b", "$x^2$", "plain", "plain", "<br>")


def shown(figure: go.Figure) -> str:
    """Everything a reader can see or touch."""
    return figure.to_json()


def test_token_text_is_never_markup():
    grid = theme.heatmap(
        torch.zeros(2, len(HOSTILE)), x=HOSTILE, x_title="token", unit="p < 1", text=[HOSTILE] * 2
    )
    line = theme.add_line(
        theme.new_figure(), range(7), range(7), name="<b>name</b>", words=list(HOSTILE)
    )
    bars = theme.add_bars(theme.new_figure(), HOSTILE, range(7), name="<i>")
    for figure in (grid, line, bars):
        text = json.loads(json.dumps(shown(figure))).replace("\\u003c", "<").replace("\\u003e", ">")
        for mark in ("<b>", "<script", "<i>", "$x"):
            assert mark not in text
    assert "&lt;b&gt;bold&lt;/b&gt;" in grid.layout.xaxis.ticktext


def test_equal_tokens_keep_their_own_columns():
    grid = theme.heatmap(torch.rand(2, 7), x=HOSTILE, x_title="token", unit="p")
    assert len(set(grid.data[0].x)) == 7
    assert len(grid.layout.xaxis.ticktext) == 7


def test_layers_run_down_and_units_are_named():
    figure = make_toy().figure()
    assert figure.layout.yaxis.autorange == "reversed"
    assert figure.layout.yaxis.title.text == "layer"
    assert "nats" in figure.data[0].colorbar.title.text
    assert "nats" in figure.data[0].hovertemplate and "%{x}" in figure.data[0].hovertemplate


def test_many_labels_are_thinned_but_the_last_is_kept():
    labels = [f"t{i}" for i in range(301)]
    figure = theme.heatmap(np.zeros((2, 301)), x=labels, x_title="token", unit="p")
    assert len(figure.layout.xaxis.ticktext) <= theme.MOST_TICKS + 1
    assert figure.layout.xaxis.ticktext[-1] == "t300"


def test_signed_numbers_are_centred_at_zero():
    figure = theme.heatmap([[-1.0, 3.0]], x="ab", x_title="head", unit="change", diverging=True)
    assert (figure.data[0].zmin, figure.data[0].zmax) == (-3.0, 3.0)
    still = theme.heatmap([[0.0, 0.0]], x="ab", x_title="head", unit="change", diverging=True)
    assert (still.data[0].zmin, still.data[0].zmax) == (-1.0, 1.0)


def test_json_is_small():
    figure = theme.heatmap(torch.rand(12, 12), x=list("abcdefghijkl"), x_title="head", unit="p")
    assert len(figure.to_json()) < 4_500


@pytest.mark.parametrize("color", range(9))
def test_an_interval_is_a_band_of_the_line_s_colour(color):
    figure = theme.add_line(
        theme.new_figure(), [0, 1], [1.0, 2.0], name="a", color=color, low=[0, 1], high=[2, 3]
    )
    band, line = figure.data
    assert band.fill == "toself" and list(band.y) == [2, 3, 1, 0]
    assert line.line.color == theme.CATEGORICAL[color % len(theme.CATEGORICAL)]


def test_a_band_is_broken_where_an_end_is_unknown():
    low, high = [0.0, np.nan, 1.0, 2.0], [1.0, 2.0, 3.0, 4.0]
    band = theme.add_band(theme.new_figure(), [0, 1, 2, 3], low, high).data[0]
    np.testing.assert_array_equal(band.x, [0, 0, np.nan, 2, 3, 3, 2])
    np.testing.assert_array_equal(band.y, [1, 0, np.nan, 3, 4, 2, 1])
    nothing = theme.add_band(theme.new_figure(), [0, 1], [np.nan] * 2, [np.nan] * 2).data[0]
    assert np.isnan(nothing.x).all()


def test_controls_are_grey_and_dashed_and_panels_are_placed():
    figure = theme.style(make_subplots(rows=1, cols=2), height=300)
    theme.add_control(
        figure, [0, 1], [0, 0], name="shuffled", low=[-1, -1], high=[1, 1], row=1, col=2
    )
    theme.add_level(figure, 0.5, name="chance", row=1, col=1)
    assert figure.data[-1].line.color == theme.CONTROL and figure.data[-1].line.dash == "dash"
    assert figure.data[-1].xaxis == "x2"
    assert figure.layout.shapes[0].y0 == 0.5


def test_a_long_axis_title_is_parted_where_a_phone_would_cut_it():
    title = theme.new_figure(
        x_title="share of questions answered with the new value, or not"
    ).layout
    lines = title.xaxis.title.text.split("<br>")
    assert len(lines) == 2 and max(map(len, lines)) <= theme.LONGEST_TITLE
    assert theme.new_figure(x_title="step").layout.xaxis.title.text == "step"


def test_an_interval_without_ends_has_a_whisker_of_no_length():
    ends = theme.whiskers(
        [Interval(value=2.0, low=1.5, high=4.0, n=3), Interval.without_ends(1.0, 1)], "red"
    )
    assert ends["array"] == [2.0, 0.0] and ends["arrayminus"] == [0.5, 0.0]


def test_what_a_figure_does_not_offer_is_refused_by_name():
    theme.check_choice("view", "grid", ("", "grid"))
    with pytest.raises(ConfigError, match="view needs to be one of grid, bars; got 'pie'"):
        theme.check_choice("view", "pie", ("", "grid", "bars"))
