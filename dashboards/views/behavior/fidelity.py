"""Does a lower loss come with a better decodable world state, and does the model use that state?"""

import streamlit as st

from dashboards.page import header, measurements, model_cache, result_card, run_button
from dashboards.page.model_list import Entry, entries
from dashboards.stories.edited_story import edited_story
from dashboards.stories.reader import no_states, states
from interp.analyses.interventions.state_edit import StateEdit
from interp.core.protocols import LanguageModel
from interp.worlds.world import World

TITLE, ICON, GROUP, PLACE = "World model", ":material/map:", "Look inside", 55
PARTS = {"map": "Decoding against loss", "edit": "Edit the state"}
VARIABLES = ("place", "mood", "holder", "object_place")
FIGURES = {"scatter": "Accuracy and loss", "correlation": "Rank correlations"}
EDITS = {"grid": "By layer and token", "rates": "Compared with controls"}
POSITIONS = {
    "named": "The name in the question",
    "told": "Where it was last stated",
    "asked": "Just before the answer",
}
MOST_STEPS = 7


def render() -> None:
    """Draw the page."""
    what = (
        "How much of the world state can be decoded as the loss falls, and whether the model uses "
        "it."
    )
    model, entry = header.begin(TITLE, what)
    seed = header.seed_input()
    world = header.world_of(entry)
    if world is None:
        header.no_world()
        return
    part = st.segmented_control(
        "Show", list(PARTS), default="map", format_func=PARTS.__getitem__, required=True,
        key="part", **header.LINK,
    )  # fmt: skip
    if not states(world.name):
        no_states()
    elif part == "map":
        _map(model, entry, world, seed)
    else:
        _edit(model, entry, world, seed)


def _map(model: LanguageModel, entry: Entry, world: World, seed: int) -> None:
    steps = len(getattr(model, "history", None) or ())
    left, right = st.columns(2)
    variables = [name for name in VARIABLES if name in states(world.name)]
    selected = left.pills(
        "Variables", variables, selection_mode="multi", default=variables[:2], key="variables",
        **header.LINK,
    )  # fmt: skip
    others = [model.name for model in entries() if model.world == entry.world and model != entry]
    compared = right.multiselect(
        "Other runs", others, key="runs", **header.LINK,
        help="Models of the same world. Within one run, loss and training time cannot be "
            "separated.",
    )  # fmt: skip
    if steps < 2 and len(compared) < 2:
        st.info(
            "This needs three checkpoints or models in all. Choose a run with more checkpoints in "
            "the sidebar, or other runs above.",
            icon=":material/info:",
        )
        return
    if not selected:
        st.caption("Choose one or more variables.")
        return
    by_name = {model.name: model for model in entries()}
    arguments = {
        **header.level_of(world),
        "variables": [v for v in variables if v in selected],
        "most": MOST_STEPS,
        "seed": seed,
    }
    pressed = st.button("Probe every checkpoint", type="primary", key="read_all")
    # The others are opened only when they are needed, so that a change of the choice costs nothing.
    key = [model.hash, str(arguments), compared]
    saved = (
        measurements.saved("fidelity", model, world=world, **arguments) if not compared else None
    )
    if saved is None and not run_button.is_requested("fidelity", pressed, key):
        st.caption("Probes are first trained at every checkpoint, which takes a few seconds each.")
        return
    models = [model_cache.opened(by_name[name], None) for name in compared]
    more = {"models": models} if models else {}
    result = saved or measurements.measured("fidelity", model, world=world, **arguments, **more)
    view = _choice("Show", FIGURES, "fidelity_view")
    result_card.show(result, "Decoding of the world state against the loss", view=view)


def _edit(model: LanguageModel, entry: Entry, world: World, seed: int) -> None:
    left, right = st.columns(2, vertical_alignment="bottom")
    position = left.selectbox(
        "Edit at", list(POSITIONS), format_func=POSITIONS.__getitem__, key="edit_at", **header.LINK
    )
    pressed = right.button("Measure the edit", type="primary", key="measure_edit")
    arguments = {
        "world": world,
        **header.level_of(world),
        "variable": "place",
        "position": position,
        "seed": seed,
    }
    saved = measurements.saved("state_edit", model, **arguments)
    if saved is None and not run_button.is_requested("edit", pressed, [model.hash, position, seed]):
        st.caption(
            "Every layer and token is tried on one set of stories; the best is then tested on "
            "another."
        )
        return
    result: StateEdit = saved or measurements.measured("state_edit", model, **arguments)
    edited_story(model, world, result)
    view = _choice("Show", EDITS, "edit_view")
    result_card.show(result, "Another place edited into the activations", view=view)


def _choice(label: str, options: dict[str, str], key: str) -> str:
    return st.segmented_control(
        label, list(options), default=next(iter(options)), format_func=options.__getitem__,
        required=True, key=key, **header.LINK,
    )  # fmt: skip
