"""Turn heads, neurons and single weights, and see the next token's probabilities move."""

import re

import streamlit as st

from dashboards.page import header, measurements, result_card
from dashboards.page.markdown import plain
from interp.analyses.interventions.component_scaling import MOST_DIALS, ComponentScaling
from interp.core.protocols import LanguageModel

TITLE, ICON, GROUP = "ComponentScaling", ":material/instant_mix:", "Change it"
PLACE = 100
PICKED, TICKS = "dials", 200
HELP = (
    "Pick one of those that count most here, or write any part: `head 2.1`, `neuron 3.17` (layer, "
    "number), `W_E[5, 3]`, `W_in[0][5, 17]`, `W_Q[2, 1][17, 3]` (layer and head, then the place)."
)


def render() -> None:
    """Draw the page."""
    what = (
        "Every head, neuron and weight is a dial. Turn some, and see what the model would say "
        "next; the model itself stays as it is."
    )
    model, entry = header.begin(TITLE, what)
    seed = header.seed_input()
    prompt = header.prompt_input(model, entry)
    unturned = measurements.measured("component_scaling", model, prompt=prompt, seed=seed)
    names = _pick(unturned)
    turns = _turn(model, prompt, names, unturned, seed) if names else []
    result = unturned
    if turns:
        result = measurements.measured(
            "component_scaling", model, prompt=prompt, turns=turns, seed=seed
        )
    result_card.show(result, "The next token with dials turned")
    st.subheader("Along each dial", anchor=False)
    st.caption("Dotted: where it stood. Line: where it stands. The other dials are held.")
    result_card.show(result, "Each dial turned all the way", key="sweep", view="sweep")
    if st.toggle("What counts most here", key="show_pulls", **header.LINK):
        result_card.show(unturned, "What counts most for the answer", key="pulls", view="pulls")


def _pick(result: ComponentScaling) -> list[str]:
    """Names of the dials: the suggestions of this prompt, and those written before."""
    chosen = st.session_state.get(PICKED) or st.query_params.get_all(PICKED)
    known = list(dict.fromkeys([*result.suggested, *chosen]))
    return st.multiselect(
        "Components", known, default=list(result.swept), max_selections=MOST_DIALS, key=PICKED,
        accept_new_options=True, help=HELP, **header.LINK,
    )  # fmt: skip


def _turn(
    model: LanguageModel, prompt: str, names: list[str], unturned: ComponentScaling, seed: int
) -> list[str]:
    """A slider a dial; the turns of those that do not stand where they stood."""
    # What each dial reaches from and to, and where it stands in the model.
    reach = unturned
    if tuple(names) != unturned.swept:
        still = [f"{name} * 1" for name in names]
        reach = measurements.measured(
            "component_scaling", model, prompt=prompt, turns=still, n_random=0, seed=seed
        )
    keys = {name: f"turn_{re.sub(r'[^A-Za-z0-9]+', '_', name).strip('_')}" for name in names}
    neutral = dict(zip(names, reach.neutral, strict=True))

    def reset() -> None:
        for name, key in keys.items():
            st.session_state[key] = neutral[name]

    turns = []
    columns = st.columns(min(len(names), 3), gap="medium")
    for i, name in enumerate(names):
        low, high = float(reach.values[i].min()), float(reach.values[i].max())
        unit = reach.units[i]
        value = columns[i % len(columns)].slider(
            f"{plain(name)}: {unit}", low, high, neutral[name], (high - low) / TICKS,
            key=keys[name], format="%.3f" if unit == "value" else "%.2f", **header.LINK,
        )  # fmt: skip
        if abs(value - neutral[name]) > (high - low) / TICKS / 4:
            turns.append(f"{name} {'=' if unit == 'value' else '*'} {value:.6g}")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Reset", key="reset", icon=":material/undo:", on_click=reset)
        st.caption(plain("; ".join(turns)) if turns else "Move a slider.")
    return turns
