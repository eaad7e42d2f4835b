"""The models on this machine, and what to do first."""

import math
from typing import Any

import pandas as pd
import streamlit as st

from interp.dashboards import views
from interp.dashboards.frame import no_model
from interp.dashboards.shelf import Entry, entries

TITLE, ICON, GROUP = "Home", ":material/home:", "Start"
TOUR = (
    ("generate", "Let it write", "token by token"),
    ("surprise", "See what surprises it", "and what had to"),
    ("logit_lens", "Watch an answer appear", "layer by layer"),
    ("attention", "See where each head looks", "word by word"),
    ("heads", "Find what each head does", "and is worth"),
    ("probe", "Ask what it knows", "beside controls"),
    ("steering", "Change its mind", "dose by dose"),
)


def render() -> None:
    """Draw the page."""
    st.title("interp")
    st.markdown("A glass-box laboratory for language models, all on this machine.")
    st.subheader("Models")
    known = entries()
    if known:
        _table(known)
    else:
        no_model()
    st.subheader("What to do first")
    for stem, name, why in TOUR:
        st.page_link(views.page(stem), label=f"**{name}** {why}")
    st.caption(
        "*Add to report* stands below every figure; the report waits in the sidebar. "
        "The address bar always holds a link to what you see."
    )


def _table(known: list[Entry]) -> None:
    config = st.column_config
    st.dataframe(
        pd.DataFrame([_row(entry) for entry in known]),
        hide_index=True,
        alt="Models with their size, loss and regret",
        column_config={
            "loss while learning": config.LineChartColumn(help="held-out, nats per token"),
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
        "loss while learning": [x for x in losses if x is not None and math.isfinite(x)],
        "held-out loss": last.get("loss_nats_per_token"),
        "regret": last.get("regret_nats_per_token"),
        "parameters": entry.parameters,
        "step": entry.step,
        "state": "finished" if entry.is_finished else "in training" if entry.record else "damaged",
        "checkpoints": len(entry.steps),
        "text": entry.world or "",
        "weights": entry.record.get("model_hash", "")[:8],
    }
