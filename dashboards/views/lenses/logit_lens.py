"""What the model would predict at each layer if it stopped there."""

import streamlit as st

from dashboards.components import lens as grid
from dashboards.page import header, measurements, result_card
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

TITLE, ICON, GROUP = "Lens", ":material/filter_center_focus:", "Look inside"
PLACE = 20
CANDIDATES = 10


def render() -> None:
    """Draw the page."""
    what = "What the model would say next if it stopped at a layer; the last row is its answer."
    model, entry = header.begin(TITLE, what)
    seed = header.seed_input()
    prompt = header.prompt_input(model, entry)
    choices = st.container(horizontal=True)
    tuned = tuned_lens_form(model, header.world_of(entry), seed)
    with choices:
        shown = lens_choice(tuned)
        target = followed_word()
        metric = metric_choice(bool(target))
    asked = {"prompt": prompt, "targets": [target] if target else [], "k": CANDIDATES, "seed": seed}
    readings = [measurements.measured("logit_lens", model, **asked)]
    if tuned is not None:
        readings.append(measurements.measured("logit_lens", model, **asked, lens=tuned))
    result = readings[-1] if shown == "tuned" else readings[0]
    with choices:
        chosen = cell_choice(result)
    _show(result, readings, metric, chosen)
    _trust(result, tuned)


def _show(
    result: LogitLens, readings: list[LogitLens], metric: Metric, chosen: grid.GridCell
) -> None:
    """The grid with the candidates of the chosen cell, and the followed word below."""

    def picture() -> None:
        first, count = window(result, chosen)
        grid.draw(
            result,
            beside=readings,
            metric=metric,
            chosen=chosen,
            first=first,
            count=count,
            key=GRID,
            on_change=follow_click,
        )

    result_card.show(result, "What it would say at each layer", picture=picture, metric=metric)
    if result.targets:
        word, place = result.targets[0], f"position {chosen.pos}, after {result.tokens[chosen.pos]}"
        st.subheader("The followed word, layer by layer")
        st.caption(plain(f"Probability and rank of {word} at {place}."))
        told = f"How probable {word} is at {place}"
        result_card.show(result, told, key="followed", view="word", pos=chosen.pos)


def _trust(result: LogitLens, tuned: TunedLens | None) -> None:
    """Each lens's controls."""
    if st.toggle("How far to trust each layer", key="lens_trust", **header.LINK):
        result_card.show(
            result, "Distance from the answer by layer", key="distance", view="distance"
        )
        if tuned is not None:
            result_card.show(tuned, "What tuning gains on stories it was not trained on")
