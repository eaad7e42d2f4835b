"""The models on this machine, how to add one, and what to do first."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboards.page import navigation
from dashboards.page.header import no_model
from dashboards.page.markdown import plain
from dashboards.page.model_list import Entry, entries, import_folder
from interp.core.errors import CheckpointError
from interp.models.io.importing import import_model

TITLE, ICON, GROUP, PLACE = "Home", ":material/home:", "Start", 0
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
CARD_WIDTH = 180
"""Pixels: five cards stand in a row of a wide window, fewer in a narrower one."""
MOST_UPLOADED = 500
"""Megabytes: the server keeps an upload in memory. A larger model is imported by its path."""


def render() -> None:
    """Draw the page."""
    st.title("interp")
    st.markdown("A glass-box laboratory for language models. Everything runs on this machine.")
    models = entries()
    model = _models(models)
    st.subheader("What to do first")
    _guide(model)
    st.caption(
        "*Add to report* is below every figure. The address bar always holds a link to what you "
        "see."
    )
    _import_form()


def _models(models: list[Entry]) -> Entry | None:
    """Draw the table and return the model whose row is selected."""
    st.subheader("Models")
    if not models:
        no_model()
        return None
    rows = _table(models).selection.rows
    if not rows:
        st.caption("Select a row to choose a model; the links below then open it.")
        return None
    _card(models[rows[0]])
    return models[rows[0]]


def _table(models: list[Entry]) -> Any:
    config = st.column_config
    return st.dataframe(
        pd.DataFrame([_row(entry) for entry in models]),
        key="models",
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        alt="Models with their size, loss and regret",
        column_config={
            "training curve": config.LineChartColumn(
                help="held-out loss in nats per token, by evaluation", y_min=0
            ),
            "parameters": config.NumberColumn(format="localized"),
            "held-out loss": config.NumberColumn(format="%.3f", help="nats per token"),
            "regret": config.NumberColumn(
                format="%.3f",
                help="held-out loss minus the lowest loss any model could reach, nats per token",
            ),
        },
    )


def _row(entry: Entry) -> dict[str, Any]:
    last = entry.evaluations[-1] if entry.evaluations else {}
    losses = [e.get("loss_nats_per_token") for e in entry.evaluations]
    return {
        "model": entry.name,
        "training curve": [loss for loss in losses if loss is not None],
        "held-out loss": last.get("loss_nats_per_token"),
        "regret": last.get("regret_nats_per_token"),
        "parameters": entry.parameters,
        "step": entry.step,
        "state": entry.state,
        "checkpoints": len(entry.steps),
        "world": entry.world or "",
        "weights": str(entry.record.get("model_hash", ""))[:8],
    }


def _card(entry: Entry) -> None:
    """The folder of one model, and how to open it in Python."""
    with st.container(border=True):
        st.markdown(f"**{plain(entry.name)}** is selected; the links below open it.")
        steps = ", ".join(f"{step:,}" for step in entry.steps) or "none"
        st.caption(plain(f"Folder {entry.folder}. Checkpoints: {steps}."))
        st.code(f"import interp\n\nmodel = interp.load_model({entry.source!r})", language="python")


def _guide(model: Entry | None) -> None:
    """Five steps from an untrained model to a report, with links to the pages.

    Args:
        model: that the pages open; None leaves the choice to them.
    """
    there = navigation.stems()
    cards = st.container(horizontal=True, key="guide")
    for number, (name, why, stems) in enumerate(STEPS, start=1):
        with cards.container(border=True, width=CARD_WIDTH, height="stretch"):
            st.markdown(f"**{number}. {name}**")
            st.caption(why)
            query = {"model": model.name} if model else None
            for stem in (stem for stem in stems if stem in there):
                st.page_link(navigation.page(stem), query_params=query)


def _import_form() -> None:
    """Ask for a model from elsewhere, and import it when the button is pressed.

    Raises:
        CheckpointError: it was refused; the message says why.
        ConfigError: the model is of a family that has no counterpart here.
    """
    name = st.session_state.pop("imported", None)
    if name:
        message = plain(f"{name} was imported. Choose it in the sidebar of any page.")
        st.success(message, icon=":material/check:")
    with st.expander("Import a model", icon=":material/upload:"):
        st.caption(
            "A model folder of interp, or one of `transformers` (GPT-2, Llama or Qwen 3): "
            "safetensors and JSON. No code in it is run, and no existing model is replaced."
        )
        with st.form("import", border=False):
            archive = st.file_uploader(
                "ZIP of the folder", type="zip", key="upload", max_upload_size=MOST_UPLOADED
            )
            path = st.text_input("Or its path on this machine", key="path", max_chars=1000)
            name = st.text_input("Name", key="name", max_chars=64, placeholder="name of the folder")
            pressed = st.form_submit_button("Import", icon=":material/add:")
        if pressed:
            _import(archive or path.strip(), name.strip())


def _import(source: object, name: str) -> None:
    if not source:
        raise CheckpointError("An import needs a ZIP or a path; got neither. Give one of them.")
    with st.spinner("Checking the model …"):
        folder = import_model(source, import_folder(), name or None)
    st.session_state["imported"] = folder.name
    st.rerun()
