"""How much a model read and computed, beside people and published models; the law of its losses."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboards.page import header, measurements, result_card
from dashboards.page.model_list import Entry, sweeps

TITLE, ICON, GROUP, PLACE = "Scale", ":material/straighten:", "Learn", 90
VIEWS = {"models": "Beside published models", "law": "The law of losses"}
TITLES = {
    "models": "What it took, beside published models",
    "law": "How the loss falls with size and with text",
}


def render() -> None:
    """Draw the page."""
    what = "How much it read, how long a person would take, and what more of it would do."
    model, entry = header.begin(TITLE, what)
    seed = header.seed_input()
    left, right = st.columns(2)
    speed = left.number_input(
        "Words a minute", 50, 1000, 238, key="words_per_minute",
        help="238 is the mean of adults who read English in silence (Brysbaert 2019).",
        **header.LINK,
    )  # fmt: skip
    view = st.segmented_control(
        "Show", list(VIEWS), default="models", format_func=VIEWS.__getitem__, required=True,
        key="scale_view", **header.LINK,
    )  # fmt: skip
    runs = _sweep(right) if view == "law" else []
    if view == "law" and not runs:
        _no_sweep(entry)
        return
    result = measurements.measured(
        "scaling_law",
        model,
        world=header.world_of(entry),
        runs=runs,
        words_per_minute=speed,
        seed=seed,
    )
    result_card.show(result, TITLES[view], key=f"scale_{view}", view=view)


def _sweep(column: DeltaGenerator) -> list[str]:
    """The sweep that was picked, as `scale` takes it; empty when there is none."""
    known = {path.name: path for path in sweeps()}
    if not known:
        return []
    names = ["none", *known]
    name = column.selectbox("Sweep", names, min(1, len(known)), key="sweep", **header.LINK)
    return [str(known[name])] if name in known else []


def _no_sweep(entry: Entry) -> None:
    """The empty state of the law."""
    st.info(
        "A law is fitted to many small runs of different sizes and lengths. Train them:",
        icon=":material/info:",
    )
    world = entry.world or "stories"
    st.code(f"interp sweep --world {world}", language="bash")
    st.caption("Then load this page again. It takes some minutes; a stopped sweep goes on.")
