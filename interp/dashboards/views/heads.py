"""What each head does, and what its absence costs."""

import streamlit as st

from interp.dashboards import exhibit, frame, session

TITLE, ICON, GROUP = "Heads", ":material/apps:", "Look inside"
N_TEXTS = 8


def render() -> None:
    """Draw the page."""
    what = (
        "Each head's habits on random tokens said twice, beside untrained models, and how much "
        "worse the model gets without it."
    )
    model, entry = frame.begin(TITLE, what)
    seed = frame.seed_box()
    n = st.slider("Sequences", 8, 64, 32, 8, key="sequences", help="More are more exact.")
    world = frame.world_of(entry)
    numbers = range(N_TEXTS if world else 0)
    texts = [world.sample(number, split="held_out").text for number in numbers]
    result = session.measured("heads", model, texts=texts, n_sequences=n, seed=seed)
    exhibit.show(result, "What each head does")
