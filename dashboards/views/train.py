"""Train a small model, and watch it learn."""

from functools import partial

import streamlit as st

from dashboards.page.error_message import guarded
from dashboards.page.model_list import entries, import_folder
from dashboards.training.form import form
from dashboards.training.runs import watch

TITLE, ICON, GROUP, PLACE = "Train", ":material/school:", "Learn", 0


def render() -> None:
    """Draw the page."""
    st.title(TITLE)
    st.markdown(
        "From random weights to a model, in a process of its own: it goes on when this page is "
        "closed, and when the dashboard ends."
    )
    runs = import_folder()
    if not entries():
        st.info(
            "There is no model on this machine yet: train one here, or see the whole tour with",
            icon=":material/info:",
        )
        st.code("interp demo", language="bash")
    st.subheader("A new run")
    guarded(partial(form, runs))()  # The runs are shown below also when a choice is refused.
    st.subheader("Runs")
    watch(runs)
