"""What to do first: five steps from an untrained model to a report, each a link to its pages."""

import streamlit as st

from dashboards.page import navigation

STEPS = (
    ("Train", "Let a small model learn a world whose truth is known.", ("train",)),
    (
        "Watch",
        "See what it learns, when, and which parameters a step moves.",
        ("checkpoint_metrics", "emergence", "blame", "gradient_step", "curriculum"),
    ),
    (
        "Look inside",
        "See it write; find where it looks, what it knows, and at which layer.",
        ("prediction", "surprise", "logit_lens", "attention", "probe", "fidelity"),
    ),
    (
        "Steer",
        "Add a concept, or turn a dial, and see what changes.",
        ("steering", "component_scaling"),
    ),
    ("Report", "Take the figures home in one file that opens anywhere.", ("report",)),
)
"""Name, what it is for, and its pages; a page that is not there is not linked to."""

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
