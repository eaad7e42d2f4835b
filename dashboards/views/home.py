"""The models on this machine, how to add one, and what to do first."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboards.page import navigation
from dashboards.page.header import no_model
from dashboards.page.markdown import plain
from dashboards.page.model_list import Entry, entries, import_folder
from interp.core.errors import CheckpointError
from interp.models.io.importing import OPENED, import_model

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
"""Megabytes: the server keeps an upload in memory. A larger model is added by its path."""
ADDED = "added_model"
FIRST_PAGES = ("attention", "logit_lens", "prediction", "steering")


def render() -> None:
    """Draw the page."""
    st.title("interp")
    st.markdown("A glass-box laboratory for language models. Everything runs on this machine.")
    models = entries()
    added = st.session_state.get(ADDED)
    if any(entry.name == added for entry in models):
        _first_pages(added)
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
        "checkpoints": len(entry.checkpoints),
        "world": entry.world or "",
        "weights": str(entry.record.get("model_hash", ""))[:8],
    }


def _card(entry: Entry) -> None:
    """The folder of one model, and how to open it in Python."""
    with st.container(border=True):
        st.markdown(f"**{plain(entry.name)}** is selected; the links below open it.")
        steps = ", ".join(f"{step:,}" for step in entry.checkpoints) or "none"
        st.caption(plain(f"From {entry.folder}. Checkpoints: {steps}."))
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
    """Take a model from elsewhere: a dropped file at once, a path when the button is pressed.

    Raises:
        CheckpointError: it was refused; the message says why.
        ConfigError: the model is of a family that has no counterpart here.
    """
    state = st.session_state
    st.subheader("Add a model")
    st.caption(
        "A GGUF file, or a folder of interp or of `transformers` (GPT-2, Llama or Qwen 3; "
        "safetensors and JSON). No code in it is run, and no existing model is replaced."
    )
    name = st.text_input("Name", key="name", max_chars=64, placeholder="the source's own name")
    # A box of another key is an empty one: the server keeps a file as long as the box holds it.
    file = st.file_uploader(
        "GGUF file, or ZIP of the folder", type=["gguf", "zip"],
        key=f"upload_{state.get(ADDED, '')}", max_upload_size=MOST_UPLOADED,
    )  # fmt: skip
    with st.form("import", border=False):
        path = st.text_input("Or the path of the file or folder", key="path", max_chars=1000)
        pressed = st.form_submit_button("Add", icon=":material/add:")
    if file is not None:
        _import(file, name.strip())
    elif pressed:
        _import(path.strip(), name.strip())


def _import(source: Any, name: str) -> None:
    if not source:
        raise CheckpointError(f"{OPENED}. Drop one, or give its path.")
    with st.spinner("Checking the model; a GGUF file is converted once, which takes a while …"):
        place = import_model(source, import_folder(), name or None)
    st.session_state[ADDED] = next(each.name for each in entries() if each.folder == place)
    st.rerun()


def _first_pages(name: str) -> None:
    """What was added, and the pages that show most of any model."""
    message = f"{name} was added. Look first at what it predicts, and where it attends."
    st.success(plain(message), icon=":material/check:")
    with st.container(horizontal=True):
        for stem in FIRST_PAGES:
            st.page_link(navigation.page(stem), query_params={"model": name})
