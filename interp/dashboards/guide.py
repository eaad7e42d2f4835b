"""What to do first: five steps from an untrained model to a report, each a link to its pages."""

import streamlit as st

from interp.dashboards import views

STEPS = (
    ("Train", "Let a small model learn a world whose truth is known.", ("train",)),
    ("Watch", "See it write, draw by draw, and what surprises it.", ("prediction", "surprise")),
    (
        "Look inside",
        "Find where it looks, what it knows, and at which layer.",
        ("logit_lens", "attention", "heads", "probe", "comprehension"),
    ),
    ("Steer", "Add a concept to its activations and see what changes.", ("steering",)),
    ("Report", "Take the figures home in one file that opens anywhere.", ("report",)),
)
"""Name, what it is for, and its pages; a page that is not there is not linked to."""


def guide(model: str | None = None) -> None:
    """Draw the steps.

    Args:
        model: that the pages open; None leaves the choice to them.
    """
    there = views.stems()
    for number, (column, (name, why, stems)) in enumerate(
        zip(st.columns(len(STEPS)), STEPS, strict=True), start=1
    ):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{number}. {name}**")
            st.caption(why)
            for stem in (stem for stem in stems if stem in there):
                st.page_link(views.page(stem), query_params={"model": model} if model else None)
