"""What the model would predict at each layer if it stopped there."""

import streamlit as st

from interp.dashboards import exhibit, frame, session

TITLE, ICON, GROUP = "Logit lens", ":material/filter_center_focus:", "Look inside"
METRICS = {
    "probability": "Probability of the best token",
    "entropy": "Entropy",
    "kl": "Distance from the final answer",
}
FOLLOWED = {"target": "Probability of the followed word", "rank": "Rank of the followed word"}


def render() -> None:
    """Draw the page."""
    what = "What the model would say next if it stopped at a layer; the last row is its answer."
    model, entry = frame.begin(TITLE, what)
    seed = frame.seed_box()
    prompt = frame.prompt_box(model, entry)
    left, right = st.columns(2)
    target = right.text_input(
        "Follow a word",
        key="follow",
        max_chars=40,
        help="One token, mostly with a space before it.",
        placeholder="one token",
        **frame.LINK,
    )
    metrics = METRICS | (FOLLOWED if target else {})
    metric = left.selectbox(
        "Colour", list(metrics), format_func=metrics.__getitem__, key="lens_colour"
    )
    result = session.measured(
        "logit_lens", model, prompt=prompt, targets=[target] if target else [], seed=seed
    )
    exhibit.show(result, "What it would say at each layer", metric=metric)
