"""What the model would predict at each layer if it stopped there."""

import streamlit as st

from dashboards.components import lens as grid
from dashboards.page import header, measurements, result_card
from dashboards.page.link import linked
from dashboards.page.markdown import plain
from dashboards.pickers.lens import (
    GRID,
    cell_choice,
    follow_click,
    followed_word,
    metric_choice,
    window,
)
from dashboards.pickers.tuned_lens import lens_choice, tuned_lens_form
from interp.analyses.lenses.logit_lens import LogitLens
from interp.analyses.lenses.tuned_lens import TunedLens
from interp.plots.lenses.logit_lens import Metric

TITLE, ICON, GROUP = "Logit lens", ":material/filter_center_focus:", "Look inside"
PLACE = 20
CANDIDATES = 10


def render() -> None:
    """Draw the page."""
    what = "What each layer predicts as the next token; the last row is the final prediction."
    model, entry, seed = header.begin_measuring(TITLE, what)
    prompt = header.prompt_input(model, entry)
    choices = st.container(horizontal=True)
    tuned = tuned_lens_form(model, header.world_of(entry), seed)
    with choices:
        lens = lens_choice(tuned)
        target = followed_word(model)
        metric = metric_choice(bool(target))
    arguments = {
        "prompt": prompt,
        "targets": [target] if target else [],
        "k": CANDIDATES,
        "seed": seed,
    }
    readings = [measurements.measured("logit_lens", model, **arguments)]
    if tuned is not None:
        readings.append(measurements.measured("logit_lens", model, **arguments, lens=tuned))
    result = readings[-1] if lens == "tuned" else readings[0]
    with choices:
        cell = cell_choice(result)
    _show(result, readings, metric, cell)
    _trust(result, tuned)


def _show(
    result: LogitLens, readings: list[LogitLens], metric: Metric, cell: grid.GridCell
) -> None:
    """The grid with the candidates of the picked cell, and the tracked token below."""

    def picture() -> None:
        first, count = window(result, cell)
        options = {"first": first, "count": count, "key": GRID, "on_change": follow_click}
        grid.draw(result, beside=readings, metric=metric, cell=cell, **options)

    result_card.show(result, "Next-token predictions by layer", picture=picture, metric=metric)
    if result.targets:
        word, position = result.targets[0], f"position {cell.pos}, after {result.tokens[cell.pos]}"
        st.subheader("The tracked token, layer by layer")
        st.caption(plain(f"Probability and rank of {word} at {position}."))
        title = f"Probability of {word} at {position}"
        result_card.show(result, title, key="followed", view="word", pos=cell.pos)


def _trust(result: LogitLens, tuned: TunedLens | None) -> None:
    """Each lens's controls."""
    if linked(st.toggle, "How far each layer can be trusted", key="lens_trust"):
        result_card.show(
            result, "KL from the final prediction by layer", key="distance", view="distance"
        )
        if tuned is not None:
            result_card.show(tuned, "What tuning gains on held-out texts")
