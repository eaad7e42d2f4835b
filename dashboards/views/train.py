"""Train a small model, and follow the run."""

from functools import partial

import streamlit as st

from dashboards.page.error_message import guarded
from dashboards.page.model_list import entries, import_folder
from dashboards.training.form import form
from dashboards.training.runs import watch

TITLE, ICON, GROUP, PLACE = "Train", ":material/school:", "Training", 0


def render() -> None:
    """Draw the page."""
    st.title(TITLE)
    st.markdown(
        "Train a small model from random weights. Each run is a process of its own: it continues "
        "when this page is closed or the dashboard stops."
    )
    runs = import_folder()
    if not entries():
        st.info(
            "There is no model on this machine yet. Train one here, or run the demo with:",
            icon=":material/info:",
        )
        st.code("interp demo", language="bash")
    st.subheader("New run")
    guarded(partial(form, runs))()  # The runs are also shown when the form is refused.
    st.subheader("Runs")
    watch(runs)
