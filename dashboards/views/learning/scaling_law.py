"""Data and compute of a model beside published models and human reading; the scaling law."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboards.page import header, measurements, result_card
from dashboards.page.link import linked
from dashboards.page.model_list import Entry, sweeps
from dashboards.pickers.choice import choice

TITLE, ICON, GROUP, PLACE = "Scaling", ":material/straighten:", "Training", 90
VIEWS = {"models": "Compared with published models", "law": "Scaling law"}
TITLES = {
    "models": "Data and compute, compared with published models",
    "law": "How the loss falls with parameters and tokens",
}


def render() -> None:
    """Draw the page."""
    what = (
        "How much text and compute the training took, and how the loss falls with more of either."
    )
    model, entry, seed = header.begin_measuring(TITLE, what)
    left, right = st.columns(2)
    speed = linked(
        left.number_input, "Words per minute", 50, 1000, 238, key="words_per_minute",
        help="For the time a person would need to read the same text. 238 is the mean for adults "
        "reading English silently (Brysbaert 2019).",
    )  # fmt: skip
    view = choice("Show", VIEWS, "scale_view")
    runs = _sweep(right) if view == "law" else []
    if view == "law" and not runs:
        _no_sweep(entry)
        return
    arguments = {"world": header.world_of(entry), "runs": runs, "seed": seed}
    result = measurements.measured("scaling_law", model, **arguments, words_per_minute=speed)
    result_card.show(result, TITLES[view], key=f"scale_{view}", view=view)


def _sweep(column: DeltaGenerator) -> list[str]:
    """The sweep that was picked, as `scale` takes it; empty when there is none."""
    folders = {path.name: path for path in sweeps()}
    if not folders:
        return []
    names = ["none", *folders]
    name = linked(column.selectbox, "Sweep", names, min(1, len(folders)), key="sweep")
    return [str(folders[name])] if name in folders else []


def _no_sweep(entry: Entry) -> None:
    """The message where there is no sweep."""
    st.info(
        "A scaling law is fitted to many small runs of different sizes and lengths. Train them "
        "with:",
        icon=":material/info:",
    )
    world = entry.world or "stories"
    st.code(f"interp sweep --world {world}", language="bash")
    st.caption(
        "Then reload this page. It takes a few minutes; run it again to resume a stopped sweep."
    )
