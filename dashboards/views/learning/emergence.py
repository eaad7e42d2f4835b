"""What appeared when, in one run or several, and whether a jump is only the metric's."""

import streamlit as st

from dashboards.page import header, measurements, model_cache, result_card, run_button
from dashboards.page.model_list import Entry, entries
from interp.analyses.learning.emergence import METRIC_WORDS, Emergence
from interp.core.protocols import LanguageModel
from interp.methods.checkpoints.change_points import FEWEST

TITLE, ICON, GROUP, PLACE = "What appeared when", ":material/trending_up:", "Learn", 20
VIEWS = {"when": "When", "answers": "Accuracy and log-probability", "curves": "Every curve"}
MOST_RUNS = 5


def render() -> None:
    """Draw the page."""
    what = (
        "Each ability's change point with its interval, beside an untrained model and a shuffled "
        "control; `did not appear` is an answer too."
    )
    model, entry = header.begin(TITLE, what)
    seed = header.seed_input()
    steps = tuple(getattr(model, "history", ()))
    if len(steps) < FEWEST:
        st.info(
            f"This model has {len(steps)} checkpoints; telling when something changed needs "
            f"{FEWEST} or more.",
            icon=":material/info:",
        )
        return
    runs = _others(entry, set(steps))
    result = _found(model, entry, runs, seed)
    if result is None:
        return
    views = {name: told for name, told in VIEWS.items() if name != "answers" or result.kinds}
    view = st.segmented_control(
        "Show", list(views), default="when", format_func=views.__getitem__, required=True,
        key="emergence_view", **header.LINK,
    )  # fmt: skip
    result_card.show(result, "What appeared when", view=view)
    _jumps(result)


def _others(entry: Entry, steps: set[int]) -> list[LanguageModel]:
    """Other runs on the same world that share checkpoints, as many as are picked."""
    alike = {
        each.name: each
        for each in entries()
        if each.folder != entry.folder
        and each.world == entry.world
        and len(steps & {*each.steps, each.step}) >= FEWEST
    }
    if not alike:
        st.caption("No other run here shares five checkpoints with this one: one run, no seeds.")
        return []
    picked = st.multiselect(
        "Other runs", list(alike), key="runs", max_selections=MOST_RUNS - 1, **header.LINK,
        help="Of other seeds, say. They are measured on the same stories.",
    )  # fmt: skip
    return [model_cache.opened(alike[name], None) for name in picked]


def _found(
    model: LanguageModel, entry: Entry, runs: list[LanguageModel], seed: int
) -> Emergence | None:
    """Kept with the model, or measured when it is asked for: the first time takes a while."""
    asked = {"world": header.world_of(entry), "runs": runs, "seed": seed}
    there = measurements.saved("emergence", model, **asked)
    if there is not None:
        return there
    pressed = st.button("Measure every checkpoint", type="primary", key="measure_emergence")
    wanted = [model.hash, *[run.hash for run in runs], seed]
    if not run_button.is_requested("emergence", pressed, wanted):
        st.caption(
            "Nothing is measured yet: about two seconds a checkpoint of a small model, once."
        )
        return None
    return measurements.measured("emergence", model, **asked)


def _jumps(result: Emergence) -> None:
    """For each kind of question, what log-probability says of accuracy's jump."""
    if not result.kinds:
        return
    st.subheader("Is the jump the metric's?")
    st.caption(
        "Accuracy counts an answer only once it is the first choice, so it can jump while the "
        "model improves smoothly. Log-probability, less that of a wrong answer of the kind, shows "
        "which it was."
    )
    rows = [
        {"kind of question": kind} | {
            run: METRIC_WORDS[result.jumps[r][k]] for r, run in enumerate(result.runs)
        }
        for k, kind in enumerate(result.kinds)
    ]  # fmt: skip
    st.dataframe(rows, hide_index=True, alt="Each kind of question's verdict, a column a run")
