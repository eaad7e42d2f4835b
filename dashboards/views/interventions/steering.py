"""Add concepts to the activations while the model writes, and see what it says and what breaks."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboards.page import header, measurements, result_card
from dashboards.page.markdown import plain
from dashboards.pickers import own_concepts
from dashboards.pickers.sampling import sampling
from dashboards.steering import concept_sliders, side_by_side
from dashboards.steering.concept_sliders import SteeredConcept
from dashboards.steering.dose_zones import LEGEND
from dashboards.steering.recipe_form import recipe_form
from interp.core.errors import InterpError
from interp.core.protocols import LanguageModel
from interp.worlds.world import World

TITLE, ICON, GROUP = "Steer", ":material/tune:", "Change it"
GAUGED = {"n_texts": 8, "n_random": 8, "n_stories": 2}


def render() -> None:
    """Draw the page."""
    what = "The same text with and without your concepts, drawn with the same random numbers."
    model, entry = header.begin(TITLE, what)
    seed, world = header.seed_input(), header.world_of(entry)
    known = own_concepts.concept_list(world)
    held: list[SteeredConcept] = []
    try:
        held = concept_sliders.rack(model, entry, known)
    except InterpError as error:
        st.info(plain(str(error)), icon=":material/info:")
    own_concepts.concept_form(model, known)
    prompt = header.prompt_input(model, entry)
    with st.popover("How tokens are drawn", icon=":material/casino:"):
        options = {**sampling(), "seed": seed}
    if held:
        _steer(model, world, prompt, held, options)
    recipe_form(model, known, held, prompt, options)


def _steer(
    model: LanguageModel,
    world: World | None,
    prompt: str,
    held: Sequence[SteeredConcept],
    options: dict[str, Any],
) -> None:
    edits = [each.edit() for each in held]
    title = f"Steered by {', '.join(f'{each.dose:+.2f} {each.name}' for each in held)}"
    side_by_side.pair(model, prompt, edits, options, title)
    st.subheader("Gain and damage", anchor=False)
    words = [each.name for each in held if world is not None and each.concept.among]
    result = measurements.measured(
        "steering_metrics", model, prompt=prompt, edits=edits, world=world, concepts=words,
        words=[word for each in held for word in each.words], **GAUGED, **options,
    )  # fmt: skip
    result_card.show(result, f"Gauges: {title}")
    _behind(held)


def _behind(held: Sequence[SteeredConcept]) -> None:
    """What stands behind a concept: its check on held-out examples, and its dose curve."""
    asking = "Behind each concept: does it tell examples apart, and what does each dose do?"
    if not st.toggle(asking, key="show_behind", **header.LINK):
        return
    names = [each.name for each in held]
    name = st.segmented_control(
        "Concept",
        names,
        default=names[0],
        required=True,
        key="behind",
        format_func=plain,
        **header.LINK,
    )
    each = held[names.index(name)]
    result_card.show(each.concept, f"'{name}' as a direction")
    st.caption(LEGEND)
    if each.curve is None:
        st.caption("Measure its zones above to see its dose curve.")
    else:
        result_card.show(each.curve, f"Steering '{name}' by dose")
