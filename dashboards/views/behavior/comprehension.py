"""Does the model answer questions about unseen stories better than any shortcut?"""

import streamlit as st

from dashboards.page import header, result_card, run_button
from dashboards.page.link import linked

TITLE, ICON, GROUP, PLACE = "Comprehension", ":material/quiz:", "Look inside", 60


def render() -> None:
    """Draw the page."""
    what = "Accuracy on questions about unseen stories, compared with what shortcuts would answer."
    model, entry, seed = header.begin_measuring(TITLE, what)
    world = header.needed_world(entry)
    n = linked(st.slider, "Stories", 20, 400, 60, 20, key="read")
    pressed = st.button("Ask", type="primary")
    # Left out where it is the default, so that what was saved with the model is found.
    splits = header.splits_of(world)
    options = header.level_of(world) | ({} if len(splits) > 1 else {"splits": splits})
    note = "Press *Ask* to measure with these settings; it takes a few seconds."
    result = run_button.on_request(
        "comprehension", model, pressed, note, world=world, **options, n_stories=n, seed=seed
    )
    if result is not None:
        result_card.show(result, "Question answering on unseen stories")
