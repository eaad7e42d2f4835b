"""Scale heads, neurons and single weights, and see the next-token probabilities change."""

import re

import streamlit as st

from dashboards.page import header, measurements, result_card
from dashboards.page.link import linked
from dashboards.page.markdown import plain
from interp.analyses.interventions.component_scaling import MOST_DIALS, ComponentScaling
from interp.core.protocols import LanguageModel

TITLE, ICON, GROUP = "Component scaling", ":material/instant_mix:", "Intervene"
PLACE = 100
PICKED, TICKS = "dials", 200
HELP = (
    "Choose one of those that matter most here, or type any: `head 2.1`, `neuron 3.17` (layer, "
    "number), `W_E[5, 3]`, `W_in[0][5, 17]`, `W_Q[2, 1][17, 3]` (layer and head, then the entry)."
)


def render() -> None:
    """Draw the page."""
    what = (
        "Scale the output of a head or neuron, or change a single weight, and see the prediction "
        "change. The model itself is unchanged."
    )
    model, entry, seed = header.begin_measuring(TITLE, what)
    prompt = header.prompt_input(model, entry)
    unturned = measurements.measured("component_scaling", model, prompt=prompt, seed=seed)
    names = _pick(unturned)
    turns = _turn(model, prompt, names, unturned, seed) if names else []
    result = unturned
    if turns:
        result = measurements.measured(
            "component_scaling", model, prompt=prompt, turns=turns, seed=seed
        )
    result_card.show(result, "The next token with scaled components")
    st.subheader("Each component over its range", anchor=False)
    st.caption(
        "Dotted: the original value. Line: the current one. All other components stay as set."
    )
    result_card.show(result, "Each component over its range", key="sweep", view="sweep")
    if linked(st.toggle, "Components that matter most", key="show_pulls"):
        result_card.show(
            unturned, "Components that matter most for the prediction", key="pulls", view="pulls"
        )


def _pick(result: ComponentScaling) -> list[str]:
    """Names of the components: the suggestions of this prompt, and those typed before."""
    names = st.session_state.get(PICKED) or st.query_params.get_all(PICKED)
    options = list(dict.fromkeys([*result.suggested, *names]))
    return linked(
        st.multiselect, "Components", options, default=list(result.swept_dials), key=PICKED,
        max_selections=MOST_DIALS, accept_new_options=True, help=HELP,
    )  # fmt: skip


def _turn(
    model: LanguageModel, prompt: str, names: list[str], unturned: ComponentScaling, seed: int
) -> list[str]:
    """A slider for each component; the changes of those that were moved."""
    # The range of each component, and its value in the model.
    reach = unturned
    if tuple(names) != unturned.swept_dials:
        still = [f"{name} * 1" for name in names]
        reach = measurements.measured(
            "component_scaling", model, prompt=prompt, turns=still, n_random=0, seed=seed
        )
    keys = {name: f"turn_{re.sub(r'[^A-Za-z0-9]+', '_', name).strip('_')}" for name in names}
    neutral = dict(zip(names, reach.original_values, strict=True))

    def reset() -> None:
        for name, key in keys.items():
            st.session_state[key] = neutral[name]

    turns = []
    columns = st.columns(min(len(names), 3), gap="medium")
    for i, name in enumerate(names):
        low, high = float(reach.values[i].min()), float(reach.values[i].max())
        unit = reach.units[i]
        value = linked(
            columns[i % len(columns)].slider, f"{plain(name)}: {unit}", low, high, neutral[name],
            (high - low) / TICKS,
            key=keys[name], format="%.3f" if unit == "value" else "%.2f",
        )  # fmt: skip
        if abs(value - neutral[name]) > (high - low) / TICKS / 4:
            turns.append(f"{name} {'=' if unit == 'value' else '*'} {value:.6g}")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Reset", key="reset", icon=":material/undo:", on_click=reset)
        st.caption(plain("; ".join(turns)) if turns else "Move a slider.")
    return turns
