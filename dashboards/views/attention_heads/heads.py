"""What each head does, and what its absence costs."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboards.page import header, measurements, navigation, result_card, run_button
from interp.analyses.attention_heads.heads import SCORES, Heads
from interp.core.protocols import LanguageModel
from interp.worlds.world import World

TITLE, ICON, GROUP, PLACE = "Heads", ":material/apps:", "Look inside", 40
N_TEXTS = 8
MANY = 64
CARRIED = ("model", "step", "seed")


def render() -> None:
    """Draw the page."""
    what = (
        "Each head's habits on random tokens said twice, beside untrained models, and how much "
        "worse the model gets without it."
    )
    model, entry = header.begin(TITLE, what)
    seed = header.seed_input()
    n = st.slider(
        "Sequences", 8, 64, 32, 8, key="sequences", help="More are more exact.", **header.LINK
    )
    count = model.cfg.n_layers * model.cfg.n_heads
    if count > MANY:
        pressed = st.button(f"Measure all {count} heads, one after the other", type="primary")
        if not run_button.is_requested("heads", pressed, [model.hash, n, seed]):
            return
    asked = _asked(model, _texts(header.world_of(entry)), n, seed)
    with st.spinner(f"Taking {count} heads away, one after the other …", show_time=True):
        result = measurements.measured("heads", model, **asked)
    result_card.show(result, "What each head does")
    _pick_one(result)


def _texts(world: World | None) -> list[str]:
    """Held-out stories that the heads' absence is measured on."""
    numbers = range(N_TEXTS if world else 0)
    return [world.sample(number, split="held_out").text for number in numbers]


def _asked(model: LanguageModel, texts: list[str], n: int, seed: int) -> dict[str, Any]:
    """The arguments of `interp.heads`: as chosen, or as they were before the change."""

    def arguments(told: Mapping[str, int]) -> dict[str, Any]:
        return {"texts": texts, "n_sequences": told["sequences"], "seed": told["seed"]}

    wanted = {"sequences": n, "seed": seed}
    known = measurements.knows("heads", model, **arguments(wanted))
    return arguments(run_button.applied_settings("heads", model.hash, wanted, is_known=known))


def _pick_one(result: Heads) -> None:
    """A head a row; the one that is picked leads to its attention."""
    st.subheader("Head by head")
    st.caption(
        "A column's title sorts by it. Pick a row to see where that head looks. Beside each score "
        "stands the most that any head of the untrained models reached."
    )
    frame_ = table(result)
    chosen = st.dataframe(
        frame_,
        hide_index=True,
        column_config=_columns(list(frame_)),
        on_select="rerun",
        selection_mode="single-row",
        key="heads_table",
        alt="Every head's scores beside the untrained range, and its absence's cost",
    ).selection.rows
    if chosen:
        at = frame_.iloc[chosen[0]]
        carried = {key: str(st.session_state[key]) for key in CARRIED if key in st.session_state}
        st.page_link(
            navigation.page("attention"),
            label=f"See where head {at['head']} looks",
            icon=":material/visibility:",
            query_params=carried | dict(zip(("layer", "head"), at["head"].split("."), strict=True)),
        )


def table(result: Heads) -> pd.DataFrame:
    """A row a head: each score, the untrained best beside it, and the loss change."""
    layers, heads = result.scores.shape[1:3]
    columns: dict[str, list] = {
        "head": [f"{layer}.{head}" for layer in range(layers) for head in range(heads)]
    }
    for i, score in enumerate(SCORES):
        columns[score.replace("_", " ")] = result.scores[i, :, :, 0].flatten().tolist()
        columns[f"untrained {score.split('_')[0]}"] = [float(result.untrained_best[i])] * (
            layers * heads
        )
    for bounds, where in zip(result.ablation, result.ablated_on, strict=False):
        columns[f"loss change, {where}"] = bounds[:, :, 0].flatten().tolist()
        columns[f"sure, {where}"] = (bounds[:, :, 1].flatten() > 0).tolist()
    return pd.DataFrame(columns)


def _columns(names: list[str]) -> dict:
    """How the numbers are written."""
    config = {}
    for name in names[1:]:
        if name.startswith("sure"):
            told = "The whole 95 % interval of the loss change is above zero."
            config[name] = st.column_config.CheckboxColumn(help=told)
        elif name.startswith("loss"):
            told = "Nats per token, ablated - clean: above zero, the head is missed."
            config[name] = st.column_config.NumberColumn(format="%+.3f", help=told)
        else:
            config[name] = st.column_config.NumberColumn(format="%.2f")
    return config
