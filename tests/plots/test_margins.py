"""No title of any figure is cut: above the panels there is room for all that stands there."""

import inspect
from typing import get_args

import pytest

from interp.plots import theme
from interp.results.registry import instruments
from interp.results.result import load_result
from tests.earlier.test_saved import RESULTS, instrument

LINE = 18
"""Pixels of a line of a title or a panel's name, with its leading."""
SAVED = {instrument(path.name): path for path in sorted(RESULTS.iterdir(), reverse=True)}


def height_above(figure) -> int:
    """Pixels that titles and names of panels need above the highest panel."""
    lines = figure.layout.title.text.count("<br>") + 1 if figure.layout.title.text else 0
    over = [
        note
        for note in figure.layout.annotations
        if note.yref == "paper" and note.y >= 0.999 and note.yanchor == "bottom"
    ]
    tallest = max(((note.text or "").count("<br>") + 1 for note in over), default=0)
    return LINE * (lines + tallest) + (12 if lines else 0)


def views(plot):
    """The figure as it comes, and with each choice of each of its options."""
    yield {}
    for name, option in inspect.signature(plot).parameters.items():
        yield from ({name: choice} for choice in get_args(option.annotation) if choice)
        if name == "layer":
            yield {"layer": 0, "head": 0}


@pytest.mark.parametrize("name", list(SAVED))
def test_every_title_has_its_room(name):
    result = load_result(SAVED[name])
    drawn = 0
    for view in views(instruments()[name].plot):
        if any(not isinstance(choice, str | int) for choice in view.values()):
            continue
        try:
            figure = result.figure(**view)
        except theme.ConfigError:  # this result lacks what the view shows
            continue
        drawn += 1
        assert figure.layout.margin.t >= height_above(figure), view
    assert drawn
