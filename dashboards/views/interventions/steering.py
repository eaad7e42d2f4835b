"""Add concepts to the activations while the model generates; see what changes and what breaks."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboards.page import header, result_card, run_button
from dashboards.page.link import linked
from dashboards.page.markdown import plain
from dashboards.pickers import own_concepts
from dashboards.pickers.choice import choice
from dashboards.pickers.sampling import sampling
from dashboards.steering import concept_sliders, side_by_side
from dashboards.steering.concept_sliders import SteeredConcept
from dashboards.steering.dose_zones import LEGEND
from dashboards.steering.recipe_form import recipe_form
from interp.core.errors import InterpError
from interp.core.protocols import LanguageModel
from interp.worlds.world import World

TITLE, ICON, GROUP = "Steering", ":material/tune:", "Intervene"
GAUGED = {"n_texts": 8, "n_random": 8, "n_stories": 2}


def render() -> None:
    """Draw the page."""
    what = "The same text with and without your concepts, sampled with the same random numbers."
    model, entry = header.begin(TITLE, what)
    seed, world = header.seed_input(), header.world_of(entry)
    concepts = own_concepts.concept_list(model, world)
    steered: list[SteeredConcept] = []
    try:
        steered = concept_sliders.concept_sliders(model, entry, concepts)
    except InterpError as error:
        st.info(plain(str(error)), icon=":material/info:")
    own_concepts.concept_form(model, concepts)
    prompt = header.prompt_input(model, entry)
    with st.popover("Sampling: length, temperature, top-k", icon=":material/casino:"):
        options = {**sampling(), "seed": seed}
    if steered:
        _steer(model, world, prompt, steered, options)
    recipe_form(model, concepts, steered, prompt, options)


def _steer(
    model: LanguageModel,
    world: World | None,
    prompt: str,
    steered: Sequence[SteeredConcept],
    options: dict[str, Any],
) -> None:
    edits = [concept.edit() for concept in steered]
    title = f"Steered by {', '.join(f'{concept.dose:+.2f} {concept.name}' for concept in steered)}"
    side_by_side.pair(model, prompt, edits, options, title)
    st.subheader("Gain and damage", anchor=False)
    words = [concept.name for concept in steered if world is not None and concept.concept.among]
    arguments = {"prompt": prompt, "edits": edits, "world": world, "concepts": words, **GAUGED}
    arguments |= {"words": [word for each in steered for word in each.words], **options}
    # A world's model is small; another one may take minutes for the texts of random directions.
    asked = world is not None or st.button("Measure gain and damage", key="measure_gain")
    note = "Compares the steered texts with those steered along random directions."
    result = run_button.on_request("steering_metrics", model, asked, note, **arguments)
    if result is not None:
        result_card.show(result, f"Gain and damage: {title}")
    _behind(steered)


def _behind(steered: Sequence[SteeredConcept]) -> None:
    """The evidence for a concept: its test on held-out examples, and its dose curve."""
    asking = "For each concept: how well it separates examples, and the effect of each dose"
    if not linked(st.toggle, asking, key="show_behind"):
        return
    concepts = {concept.name: concept for concept in steered}
    name = choice("Concept", {name: plain(name) for name in concepts}, "behind")
    concept = concepts[name]
    result_card.show(concept.concept, f"'{name}' as a direction")
    st.caption(LEGEND)
    if concept.curve is None:
        st.caption("Press *Measure the zones* above to see its dose curve.")
    else:
        result_card.show(concept.curve, f"Steering '{name}' by dose")
