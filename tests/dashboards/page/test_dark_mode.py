"""A dark page changes a figure's colours and nothing else; wide figures are known as such."""

from plotly.subplots import make_subplots

from dashboards.page.dark_mode import on_dark
from dashboards.page.result_card import is_wide
from interp.plots.theme import DARK, INK, PAPER, add_line, heatmap, new_figure


def test_a_dark_figure_has_the_same_numbers_and_the_dark_colours():
    light = add_line(new_figure(title="<b>"), [0, 1], [0.5, 0.25], name="loss")
    dark = on_dark(light)
    assert dark.layout.paper_bgcolor == DARK[PAPER] and dark.layout.font.color == DARK[INK]
    assert light.layout.paper_bgcolor == PAPER
    numbers = [figure.to_plotly_json()["data"][0]["y"] for figure in (light, dark)]
    assert numbers[0] == numbers[1]
    assert dark.layout.title.text == light.layout.title.text


def test_colours_in_a_title_turn_dark_and_other_words_stay():
    light = new_figure(title=f"<span style='color:{INK}'>loss</span> {INK} of a token")
    title = on_dark(light).layout.title.text
    assert title == f"<span style='color:{DARK[INK]}'>loss</span> {INK} of a token"


def test_many_words_or_panels_make_a_figure_wide():
    grid = {"x": ["a"] * 9, "x_title": "token", "unit": "share"}
    assert not is_wide(heatmap([[0.5] * 9] * 2, **grid))
    assert is_wide(heatmap([[0.5] * 9] * 2, text=[["word"] * 9] * 2, **grid))
    assert is_wide(make_subplots(cols=2))
