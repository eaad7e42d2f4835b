"""The models on this machine, and what to do first."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboards.guide import guide
from dashboards.page.header import no_model
from dashboards.page.import_box import import_box
from dashboards.page.markdown import plain
from dashboards.page.model_list import Entry, entries

TITLE, ICON, GROUP, PLACE = "Home", ":material/home:", "Start", 0


def render() -> None:
    """Draw the page."""
    st.title("interp")
    st.markdown("A glass-box laboratory for language models, all on this machine.")
    known = entries()
    chosen = _models(known)
    st.subheader("What to do first")
    guide(chosen.name if chosen else None)
    st.caption(
        "*Add to report* stands below every figure. The address bar always holds a link to what "
        "you see."
    )
    import_box()


def _models(known: list[Entry]) -> Entry | None:
    """The table; gives the model whose row is chosen."""
    st.subheader("Models")
    if not known:
        no_model()
        return None
    picked = _table(known).selection.rows
    if not picked:
        st.caption("Choose a row to open a model: the steps below then lead to its pages.")
        return None
    _card(known[picked[0]])
    return known[picked[0]]


def _table(known: list[Entry]) -> Any:
    config = st.column_config
    return st.dataframe(
        pd.DataFrame([_row(entry) for entry in known]),
        key="models",
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        alt="Models with their size, loss and regret",
        column_config={
            "loss while learning": config.LineChartColumn(help="held-out, nats per token", y_min=0),
            "parameters": config.NumberColumn(format="localized"),
            "held-out loss": config.NumberColumn(format="%.3f", help="nats per token"),
            "regret": config.NumberColumn(
                format="%.3f", help="loss less the least that any model could have, nats per token"
            ),
        },
    )


def _row(entry: Entry) -> dict[str, Any]:
    last = entry.evaluations[-1] if entry.evaluations else {}
    losses = [e.get("loss_nats_per_token") for e in entry.evaluations]
    return {
        "model": entry.name,
        "loss while learning": [loss for loss in losses if loss is not None],
        "held-out loss": last.get("loss_nats_per_token"),
        "regret": last.get("regret_nats_per_token"),
        "parameters": entry.parameters,
        "step": entry.step,
        "state": entry.state,
        "checkpoints": len(entry.steps),
        "text": entry.world or "",
        "weights": str(entry.record.get("model_hash", ""))[:8],
    }


def _card(entry: Entry) -> None:
    """What is known of one model, and how to open it elsewhere."""
    with st.container(border=True):
        st.markdown(f"**{plain(entry.name)}** is open: the steps below lead to its pages.")
        steps = ", ".join(f"{step:,}" for step in entry.steps) or "none"
        st.caption(plain(f"Folder {entry.folder}. Checkpoints: {steps}."))
        st.code(f"import interp\n\nmodel = interp.load_model({entry.source!r})", language="python")
