"""Does the model answer questions about stories it never saw, better than any shortcut?"""

import streamlit as st

from interp.dashboards import asking, exhibit, frame, session

TITLE, ICON, GROUP, PLACE = "Comprehension", ":material/quiz:", "Look inside", 60


def render() -> None:
    """Draw the page."""
    what = "Questions about stories that it never saw, beside what every shortcut would answer."
    model, entry = frame.begin(TITLE, what)
    seed = frame.seed_box()
    world = frame.world_of(entry)
    if world is None:
        frame.no_world()
        return
    n = st.slider("Stories", 20, 400, 60, 20, key="read", **frame.LINK)
    pressed = st.button("Ask", type="primary")
    if not asking.asked_for("comprehension", pressed, [model.hash, n, seed]):
        st.caption("Nothing is asked yet with these settings; it takes some seconds.")
        return
    result = session.measured("comprehension", model, world=world, n_stories=n, seed=seed)
    exhibit.show(result, "Does it understand what it reads?")
