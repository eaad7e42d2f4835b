"""Brings a model from elsewhere to this machine's shelf: a zip, or a folder by its path."""

import streamlit as st

from dashboards.page.markdown import plain
from dashboards.page.model_list import import_folder
from interp.core.errors import CheckpointError
from interp.models.io.importing import import_model

MOST_UPLOADED = 500
"""Megabytes: the server keeps an upload in memory. A larger model is imported by its path."""


def import_box() -> None:
    """Ask for the model, and import it when the button is pressed.

    Raises:
        CheckpointError: it was refused; the sentence says why.
        ConfigError: the model is of a family that has no counterpart here.
    """
    told = st.session_state.pop("imported", None)
    if told:
        st.success(
            plain(f"{told} is on the shelf: choose it on any page."), icon=":material/check:"
        )
    with st.expander("Add a model from elsewhere", icon=":material/upload:"):
        st.caption(
            "A model folder of interp, or one of `transformers` (GPT-2, Llama or Qwen 3): "
            "safetensors and JSON. Nothing in it is run, and no model here is replaced."
        )
        with st.form("import", border=False):
            uploaded = st.file_uploader(
                "A zip of the folder", type="zip", key="upload", max_upload_size=MOST_UPLOADED
            )
            path = st.text_input("or its path on this machine", key="path", max_chars=1000)
            name = st.text_input("Name", key="name", max_chars=64, placeholder="as the folder")
            pressed = st.form_submit_button("Import", icon=":material/add:")
        if pressed:
            _import(uploaded or path.strip(), name.strip())


def _import(source: object, name: str) -> None:
    if not source:
        raise CheckpointError("A zip or a path was needed; none came. Give one of the two.")
    with st.spinner("Checking the model …"):
        made = import_model(source, import_folder(), name or None)
    st.session_state["imported"] = made.name
    st.rerun()
