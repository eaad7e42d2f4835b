"""Does the model answer questions about stories it never saw, better than any shortcut?"""

import streamlit as st

from dashboards.page import header, measurements, result_card, run_button

TITLE, ICON, GROUP, PLACE = "Comprehension", ":material/quiz:", "Look inside", 60


def render() -> None:
    """Draw the page."""
    what = "Questions about stories that it never saw, beside what every shortcut would answer."
    model, entry = header.begin(TITLE, what)
    seed = header.seed_input()
    world = header.world_of(entry)
    if world is None:
        header.no_world()
        return
    n = st.slider("Stories", 20, 400, 60, 20, key="read", **header.LINK)
    pressed = st.button("Ask", type="primary")
    if not run_button.is_requested("comprehension", pressed, [model.hash, n, seed]):
        st.caption("Nothing is asked yet with these settings; it takes some seconds.")
        return
    result = measurements.measured("comprehension", model, world=world, n_stories=n, seed=seed)
    result_card.show(result, "Does it understand what it reads?")
