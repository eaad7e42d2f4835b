"""The scores of each head, and the cost of ablating it."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboards.page import header, measurements, navigation, result_card, run_button
from dashboards.page.link import linked
from interp.analyses.attention_heads.heads import SCORES, Heads
from interp.core.protocols import LanguageModel
from interp.worlds.world import World

TITLE, ICON, GROUP, PLACE = "Attention heads", ":material/apps:", "Look inside", 40
N_TEXTS = 8
MANY = 64
CARRIED = ("model", "step", "seed")


def render() -> None:
    """Draw the page."""
    what = (
        "What each head attends to on repeated random tokens, compared with untrained models, and "
        "how much the loss rises when it is ablated."
    )
    model, entry, seed = header.begin_measuring(TITLE, what)
    help_text = "More sequences give narrower intervals."
    n = linked(st.slider, "Sequences", 8, 64, 32, 8, key="sequences", help=help_text)
    count = model.cfg.n_layers * model.cfg.n_heads
    if count > MANY:
        pressed = st.button(f"Ablate all {count} heads in turn", type="primary")
        if not run_button.is_requested("heads", pressed, [model.hash, n, seed]):
            return
    arguments = _arguments(model, _texts(header.world_of(entry)), n, seed)
    with st.spinner(f"Ablating {count} heads, one after the other …", show_time=True):
        result = measurements.measured("heads", model, **arguments)
    result_card.show(result, "What each head does")
    _pick_one(result)


def _texts(world: World | None) -> list[str]:
    """Held-out stories that the ablations are measured on."""
    numbers = range(N_TEXTS if world else 0)
    return [world.sample(number, split="held_out").text for number in numbers]


def _arguments(model: LanguageModel, texts: list[str], n: int, seed: int) -> dict[str, Any]:
    """The arguments of `interp.heads`: the current settings, or the previous ones."""

    def arguments(settings: Mapping[str, int]) -> dict[str, Any]:
        return {"texts": texts, "n_sequences": settings["sequences"], "seed": settings["seed"]}

    settings = {"sequences": n, "seed": seed}
    is_known = measurements.knows("heads", model, **arguments(settings))
    return arguments(run_button.applied_settings("heads", model.hash, settings, is_known=is_known))


def _pick_one(result: Heads) -> None:
    """A row for each head; a link leads from the picked one to its attention."""
    st.subheader("Head by head")
    st.caption(
        "Click a column title to sort. Select a row to see what that head attends to. Next to each "
        "score is the highest that any head of the untrained models reached."
    )
    scores = table(result)
    rows = st.dataframe(
        scores,
        hide_index=True,
        column_config=_columns(list(scores)),
        on_select="rerun",
        selection_mode="single-row",
        key="heads_table",
        alt="Scores of every head, the untrained maximum, and the cost of ablating it",
    ).selection.rows
    if rows:
        row = scores.iloc[rows[0]]
        parameters = {key: str(st.session_state[key]) for key in CARRIED if key in st.session_state}
        st.page_link(
            navigation.page("attention"),
            label=f"See what head {row['head']} attends to",
            icon=":material/visibility:",
            query_params=parameters
            | dict(zip(("layer", "head"), row["head"].split("."), strict=True)),
        )


def table(result: Heads) -> pd.DataFrame:
    """A row a head: each score, the untrained best beside it, and the loss change."""
    layers, heads = result.scores.shape[1:3]
    columns: dict[str, list] = {
        "head": [f"{layer}.{head}" for layer in result.layers for head in range(heads)]
    }
    for i, score in enumerate(SCORES):
        columns[score.replace("_", " ")] = result.scores[i, :, :, 0].flatten().tolist()
        columns[f"untrained {score.split('_')[0]}"] = [float(result.untrained_best[i])] * (
            layers * heads
        )
    for bounds, texts in zip(result.ablation, result.ablated_on, strict=False):
        columns[f"loss change, {texts}"] = bounds[:, :, 0].flatten().tolist()
        columns[f"sure, {texts}"] = (bounds[:, :, 1].flatten() > 0).tolist()
    return pd.DataFrame(columns)


def _columns(names: list[str]) -> dict:
    """How the numbers are written."""
    config = {}
    for name in names[1:]:
        if name.startswith("sure"):
            help_text = "The 95 % interval that holds for all heads at once lies above zero."
            config[name] = st.column_config.CheckboxColumn(help=help_text)
        elif name.startswith("loss"):
            help_text = "Nats per token, ablated minus clean: above zero, the head helps."
            config[name] = st.column_config.NumberColumn(format="%+.3f", help=help_text)
        else:
            config[name] = st.column_config.NumberColumn(format="%.2f")
    return config
