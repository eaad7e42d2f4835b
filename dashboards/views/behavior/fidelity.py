"""Does better prediction mean a better map of the world, and does an edit of the map count?"""

import streamlit as st

from dashboards.page import header, measurements, model_cache, result_card, run_button
from dashboards.page.model_list import Entry, entries
from dashboards.stories.edited_story import edited_story
from interp.analyses.interventions.state_edit import StateEdit
from interp.core.protocols import LanguageModel
from interp.worlds.world import World

TITLE, ICON, GROUP, PLACE = "World model", ":material/map:", "Look inside", 55
PARTS = {"map": "Better prediction, better map?", "edit": "Edit the map"}
VARIABLES = ("place", "mood", "holder", "object_place")
FIGURES = {"scatter": "Accuracy and loss", "correlation": "Rank correlations"}
EDITS = {"grid": "By layer and token", "rates": "Beside its controls"}
POSITIONS = {
    "named": "The name in the question",
    "told": "Where it was said last",
    "asked": "Just before the answer",
}
MOST_STEPS = 7


def render() -> None:
    """Draw the page."""
    what = "What the model holds about its world, against how well it predicts; and what it uses."
    model, entry = header.begin(TITLE, what)
    seed = header.seed_input()
    world = header.world_of(entry)
    if world is None:
        header.no_world()
        return
    part = st.segmented_control(
        "Look at", list(PARTS), default="map", format_func=PARTS.__getitem__, required=True,
        key="part", **header.LINK,
    )  # fmt: skip
    if part == "map":
        _map(model, entry, world, seed)
    else:
        _edit(model, entry, world, seed)


def _map(model: LanguageModel, entry: Entry, world: World, seed: int) -> None:
    steps = len(getattr(model, "history", None) or ())
    left, right = st.columns(2)
    known = [name for name in VARIABLES if name in world.variables]
    chosen = left.pills(
        "What is read", known, selection_mode="multi", default=known[:2], key="variables",
        **header.LINK,
    )  # fmt: skip
    others = [each.name for each in entries() if each.world == entry.world and each != entry]
    compared = right.multiselect(
        "Other runs", others, key="runs", **header.LINK,
        help="Models of the same world. Beyond training time only they can tell.",
    )  # fmt: skip
    if steps < 2 and len(compared) < 2:
        st.info(
            "A run with three checkpoints or more is needed, or three models of one world.",
            icon=":material/info:",
        )
        return
    if not chosen:
        st.caption("Choose what is read.")
        return
    by_name = {each.name: each for each in entries()}
    wanted = {"variables": [v for v in known if v in chosen], "most": MOST_STEPS, "seed": seed}
    pressed = st.button("Read every checkpoint", type="primary", key="read_all")
    # The others are opened only when they are needed, so that a change of the choice costs nothing.
    key = [model.hash, str(wanted), compared]
    there = measurements.saved("fidelity", model, world=world, **wanted) if not compared else None
    if there is None and not run_button.is_requested("fidelity", pressed, key):
        st.caption("Probes are trained at every checkpoint first, which takes seconds for each.")
        return
    models = [model_cache.opened(by_name[name], None) for name in compared]
    more = {"models": models} if models else {}
    result = there or measurements.measured("fidelity", model, world=world, **wanted, **more)
    view = _choice("Show", FIGURES, "fidelity_view")
    result_card.show(result, "What is read of the world, against the loss", view=view)


def _edit(model: LanguageModel, entry: Entry, world: World, seed: int) -> None:
    left, right = st.columns(2, vertical_alignment="bottom")
    position = left.selectbox(
        "Edit at", list(POSITIONS), format_func=POSITIONS.__getitem__, key="edit_at", **header.LINK
    )
    pressed = right.button("Measure the edit", type="primary", key="measure_edit")
    wanted = {"world": world, "variable": "place", "position": position, "seed": seed}
    there = measurements.saved("state_edit", model, **wanted)
    if there is None and not run_button.is_requested("edit", pressed, [model.hash, position, seed]):
        st.caption("Every layer and token is tried on one set of stories, then one on another.")
        return
    result: StateEdit = there or measurements.measured("state_edit", model, **wanted)
    edited_story(model, world, result)
    view = _choice("Show", EDITS, "edit_view")
    result_card.show(result, "Another place is written into the activations", view=view)


def _choice(label: str, options: dict[str, str], key: str) -> str:
    return st.segmented_control(
        label, list(options), default=next(iter(options)), format_func=options.__getitem__,
        required=True, key=key, **header.LINK,
    )  # fmt: skip
