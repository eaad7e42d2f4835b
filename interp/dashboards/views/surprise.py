"""What each token of a text cost the model, and the least that any model could have paid."""

import streamlit as st

from interp.dashboards import exhibit, frame, session
from interp.errors import WorldError

TITLE, ICON, GROUP, PLACE = "Surprise", ":material/bolt:", "Look inside", 10
VIEWS = {
    "loss": "Loss",
    "regret": "Regret: loss less the floor",
    "floor": "Floor: the least that any model could pay",
    "kinds": "By kind of word",
}


def render() -> None:
    """Draw the page."""
    what = "How much each word surprised the model, and how much it had to."
    model, entry = frame.begin(TITLE, what)
    seed = frame.seed_box()
    text = frame.prompt_box(model, entry, key="story", sentences=None)
    world = frame.world_of(entry)
    try:
        result = session.measured("surprise", model, text=text, world=world, seed=seed)
    except WorldError:
        st.info(
            "The world cannot have told this text, so its floor is not known.",
            icon=":material/info:",
        )
        result = session.measured("surprise", model, text=text, seed=seed)
    offered = list(VIEWS) if result.has_floor else ["loss"]
    view = st.selectbox("Colour", offered, format_func=VIEWS.__getitem__, key="surprise_colour")
    exhibit.show(result, VIEWS[view], view=view)
