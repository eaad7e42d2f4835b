"""When each ability appeared, in one run or several, and whether a jump is due to the metric."""

import streamlit as st

from dashboards.page import header, model_cache, result_card, run_button
from dashboards.page.model_list import Entry
from dashboards.pickers.choice import choice, other_runs, same_world
from interp.analyses.learning.emergence import METRIC_WORDS, Emergence
from interp.core.protocols import LanguageModel
from interp.methods.checkpoints.change_points import FEWEST

TITLE, ICON, GROUP, PLACE = "Emergence", ":material/trending_up:", "Training", 20
VIEWS = {"when": "Change points", "answers": "Accuracy and log-probability", "curves": "All curves"}
MOST_RUNS = 5


def render() -> None:
    """Draw the page."""
    what = (
        "When each ability appeared: its change point with an interval, compared with an untrained "
        "model and a shuffled control. The answer can be `did not appear`."
    )
    model, entry, seed = header.begin_measuring(TITLE, what)
    steps = header.needed_checkpoints(model, FEWEST)
    runs = _others(entry, set(steps))
    result = _emergence(model, entry, runs, seed)
    if result is None:
        return
    views = {name: label for name, label in VIEWS.items() if name != "answers" or result.kinds}
    view = choice("Show", views, "emergence_view")
    result_card.show(result, "When each ability appeared", view=view)
    _jumps(result)


def _others(entry: Entry, steps: set[int]) -> list[LanguageModel]:
    """Other runs on the same world that share checkpoints, as many as are picked."""
    candidates = [run for run in same_world(entry) if len(steps & {*run.steps, run.step}) >= FEWEST]
    if not candidates:
        st.caption(
            f"No other run shares {FEWEST} checkpoints with this one, so there is no variation "
            "over seeds."
        )
        return []
    help_text = "For instance other seeds. They are measured on the same stories."
    runs = other_runs(candidates, "runs", help=help_text, most=MOST_RUNS - 1)
    return [model_cache.opened(run, None) for run in runs]


def _emergence(
    model: LanguageModel, entry: Entry, runs: list[LanguageModel], seed: int
) -> Emergence | None:
    """Saved with the model, or measured on request: the first time takes a while."""
    world = header.world_of(entry)
    arguments = {"world": world, **header.level_of(world), "runs": runs, "seed": seed}
    pressed = st.button("Measure every checkpoint", type="primary", key="measure_emergence")
    note = (
        "Press *Measure every checkpoint*: about two seconds per checkpoint of a small model, once."
    )
    return run_button.on_request("emergence", model, pressed, note, **arguments)


def _jumps(result: Emergence) -> None:
    """For each kind of question, what log-probability says of accuracy's jump."""
    if not result.kinds:
        return
    st.subheader("Is the jump due to the metric?")
    st.caption(
        "Accuracy counts an answer only once it is the top choice, so it can jump while the model "
        "improves smoothly. The log-probability of the right answer minus that of a wrong answer "
        "of the same kind shows which it was."
    )
    rows = [
        {"kind of question": kind} | {
            run: METRIC_WORDS[result.jumps[r][k]] for r, run in enumerate(result.runs)
        }
        for k, kind in enumerate(result.kinds)
    ]  # fmt: skip
    st.dataframe(rows, hide_index=True, alt="Verdict for each kind of question, one column per run")
