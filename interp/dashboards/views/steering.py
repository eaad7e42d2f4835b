"""Add concepts to the activations while the model writes, and see what it says and what breaks."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from interp.dashboards import concept_rack, exhibit, frame, own_concepts, session, steered_pair
from interp.dashboards.concept_rack import Held
from interp.dashboards.dose_zones import LEGEND
from interp.dashboards.plain import plain
from interp.dashboards.recipe_box import recipe_box
from interp.dashboards.sampling import sampling
from interp.errors import InterpError
from interp.protocols import LanguageModel
from interp.worlds.world import World

TITLE, ICON, GROUP = "Steer", ":material/tune:", "Change it"
GAUGED = {"n_texts": 8, "n_random": 8, "n_stories": 2}


def render() -> None:
    """Draw the page."""
    what = "The same text with and without your concepts, drawn with the same random numbers."
    model, entry = frame.begin(TITLE, what)
    seed, world = frame.seed_box(), frame.world_of(entry)
    known = own_concepts.known_concepts(world)
    held: list[Held] = []
    try:
        held = concept_rack.rack(model, entry, known)
    except InterpError as error:
        st.info(plain(str(error)), icon=":material/info:")
    own_concepts.maker(model, known)
    prompt = frame.prompt_box(model, entry)
    with st.popover("How tokens are drawn", icon=":material/casino:"):
        options = {**sampling(), "seed": seed}
    if held:
        _steer(model, world, prompt, held, options)
    recipe_box(model, known, held, prompt, options)


def _steer(
    model: LanguageModel,
    world: World | None,
    prompt: str,
    held: Sequence[Held],
    options: dict[str, Any],
) -> None:
    edits = [each.edit() for each in held]
    title = f"Steered by {', '.join(f'{each.dose:+.2f} {each.name}' for each in held)}"
    steered_pair.pair(model, prompt, edits, options, title)
    st.subheader("Gain and damage", anchor=False)
    words = [each.name for each in held if world is not None and each.concept.among]
    result = session.measured(
        "gauges", model, prompt=prompt, edits=edits, world=world, concepts=words,
        words=[word for each in held for word in each.words], **GAUGED, **options,
    )  # fmt: skip
    exhibit.show(result, f"Gauges: {title}")
    _behind(held)


def _behind(held: Sequence[Held]) -> None:
    """What stands behind a concept: its check on held-out examples, and its dose curve."""
    asking = "Behind each concept: does it tell examples apart, and what does each dose do?"
    if not st.toggle(asking, key="show_behind", **frame.LINK):
        return
    names = [each.name for each in held]
    name = st.segmented_control(
        "Concept",
        names,
        default=names[0],
        required=True,
        key="behind",
        format_func=plain,
        **frame.LINK,
    )
    each = held[names.index(name)]
    exhibit.show(each.concept, f"'{name}' as a direction")
    st.caption(LEGEND)
    if each.curve is None:
        st.caption("Measure its zones above to see its dose curve.")
    else:
        exhibit.show(each.curve, f"Steering '{name}' by dose")
