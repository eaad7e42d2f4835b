"""Does a lower loss come with a better decodable world state, and does the model use that state?"""

import streamlit as st

from dashboards.page import header, model_cache, result_card, run_button
from dashboards.page.link import linked
from dashboards.page.model_list import Entry
from dashboards.pickers.choice import choice, listed_choice, other_runs, same_world
from dashboards.stories.edited_story import edited_story
from dashboards.stories.reader import needed_states
from interp.core.protocols import LanguageModel
from interp.worlds.world import World

TITLE, ICON, GROUP, PLACE = "World model", ":material/map:", "Look inside", 55
PARTS = {"map": "Decoding against loss", "edit": "Edit the state"}
VARIABLES = ("place", "mood", "holder", "object_place")
FIGURES = {"scatter": "Accuracy and loss", "correlation": "Rank correlations"}
EDITS = {"grid": "By layer and token", "rates": "Compared with controls"}
POSITIONS = {
    "best": "Where most edits work",
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
    model, entry, seed = header.begin_measuring(TITLE, what)
    world = header.needed_world(entry)
    part = choice("Show", PARTS, "part")
    variables = needed_states(world)
    if part == "map":
        known = [name for name in VARIABLES if name in variables]
        _map(model, entry, world, known, seed)
    else:
        _edit(model, world, seed)


def _map(model: LanguageModel, entry: Entry, world: World, variables: list[str], seed: int) -> None:
    left, right = st.columns(2)
    selected = linked(
        left.pills, "Variables", variables, selection_mode="multi", default=variables[:2],
        key="variables",
    )  # fmt: skip
    help_text = (
        "Models of the same world. Within one run, loss and training time cannot be separated."
    )
    with right:
        compared = other_runs(same_world(entry), "runs", help=help_text)
    if len(header.checkpoints_of(model)) < 2 and len(compared) < 2:
        header.ends_here(
            "This needs three checkpoints or models in all. Choose a run with more checkpoints in "
            "the sidebar, or other runs above."
        )
    if not selected:
        st.caption("Choose one or more variables.")
        return
    arguments = {
        **header.level_of(world),
        "variables": [v for v in variables if v in selected],
        "most": MOST_STEPS,
        "seed": seed,
    }
    pressed = st.button("Probe every checkpoint", type="primary", key="read_all")
    # The others are opened only when they are needed, so that a change of the choice costs nothing.
    note = "Probes are first trained at every checkpoint, which takes a few seconds each."
    if compared:
        settings = [model.hash, str(arguments), [run.name for run in compared]]
        pressed = run_button.is_requested("compared", pressed, settings)
        if not pressed:
            st.caption(note)
            return
        arguments["models"] = [model_cache.opened(run, None) for run in compared]
    result = run_button.on_request("fidelity", model, pressed, note, world=world, **arguments)
    if result is not None:
        view = choice("Show", FIGURES, "fidelity_view")
        result_card.show(result, "Decoding of the world state against the loss", view=view)


def _edit(model: LanguageModel, world: World, seed: int) -> None:
    left, right = st.columns(2, vertical_alignment="bottom")
    with left:
        position = listed_choice("Edit at", POSITIONS, "edit_at")
    pressed = right.button("Measure the edit", type="primary", key="measure_edit")
    arguments = {
        "world": world,
        **header.level_of(world),
        "variable": "place",
        "position": position,
        "seed": seed,
    }
    note = "Every layer and token is tried on one set of stories; the best is tested on another."
    result = run_button.on_request("state_edit", model, pressed, note, **arguments)
    if result is not None:
        edited_story(model, world, result)
        view = choice("Show", EDITS, "edit_view")
        result_card.show(result, "Another place edited into the activations", view=view)
