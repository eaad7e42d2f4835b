"""What to do first: five steps from an untrained model to a report, with links to the pages."""

import streamlit as st

from dashboards.page import navigation

STEPS = (
    ("Train", "Train a small model on a simulated world, where the truth is known.", ("train",)),
    (
        "Watch",
        "See what it learns, when, and what a gradient step changes.",
        ("checkpoint_metrics", "emergence", "blame", "gradient_step", "curriculum"),
    ),
    (
        "Look inside",
        "Follow a prediction; see what heads attend to and what layers encode.",
        ("prediction", "surprise", "logit_lens", "attention", "probe", "fidelity"),
    ),
    (
        "Steer",
        "Add a concept, or scale a component, and see what changes.",
        ("steering", "component_scaling"),
    ),
    ("Report", "Export your figures as one file that opens anywhere.", ("report",)),
)
"""Name, purpose, and pages; a page that does not exist is not linked."""

WIDTH = 180
"""Pixels: five cards stand in a row of a wide window, fewer in a narrower one."""


def guide(model: str | None = None) -> None:
    """Draw the steps.

    Args:
        model: that the pages open; None leaves the choice to them.
    """
    there = navigation.stems()
    cards = st.container(horizontal=True, key="guide")
    for number, (name, why, stems) in enumerate(STEPS, start=1):
        with cards.container(border=True, width=WIDTH, height="stretch"):
            st.markdown(f"**{number}. {name}**")
            st.caption(why)
            for stem in (stem for stem in stems if stem in there):
                st.page_link(
                    navigation.page(stem), query_params={"model": model} if model else None
                )
