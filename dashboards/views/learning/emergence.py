"""When each ability appeared, in one run or several, and whether a jump is due to the metric."""

import streamlit as st

from dashboards.page import header, measurements, model_cache, result_card, run_button
from dashboards.page.model_list import Entry, entries
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
    model, entry = header.begin(TITLE, what)
    seed = header.seed_input()
    steps = tuple(getattr(model, "history", ()))
    if len(steps) < FEWEST:
        st.info(
            f"This needs a run with {FEWEST} checkpoints or more; this model has {len(steps)}. "
            "Choose another run.",
            icon=":material/info:",
        )
        return
    runs = _others(entry, set(steps))
    result = _emergence(model, entry, runs, seed)
    if result is None:
        return
    views = {name: label for name, label in VIEWS.items() if name != "answers" or result.kinds}
    view = st.segmented_control(
        "Show", list(views), default="when", format_func=views.__getitem__, required=True,
        key="emergence_view", **header.LINK,
    )  # fmt: skip
    result_card.show(result, "When each ability appeared", view=view)
    _jumps(result)


def _others(entry: Entry, steps: set[int]) -> list[LanguageModel]:
    """Other runs on the same world that share checkpoints, as many as are picked."""
    candidates = {
        model.name: model
        for model in entries()
        if model.folder != entry.folder
        and model.world == entry.world
        and len(steps & {*model.steps, model.step}) >= FEWEST
    }
    if not candidates:
        st.caption(
            f"No other run shares {FEWEST} checkpoints with this one, so there is no variation "
            "over seeds."
        )
        return []
    names = st.multiselect(
        "Other runs", list(candidates), key="runs", max_selections=MOST_RUNS - 1, **header.LINK,
        help="For instance other seeds. They are measured on the same stories.",
    )  # fmt: skip
    return [model_cache.opened(candidates[name], None) for name in names]


def _emergence(
    model: LanguageModel, entry: Entry, runs: list[LanguageModel], seed: int
) -> Emergence | None:
    """Saved with the model, or measured on request: the first time takes a while."""
    world = header.world_of(entry)
    arguments = {"world": world, **header.level_of(world), "runs": runs, "seed": seed}
    saved = measurements.saved("emergence", model, **arguments)
    if saved is not None:
        return saved
    pressed = st.button("Measure every checkpoint", type="primary", key="measure_emergence")
    settings = [model.hash, *[run.hash for run in runs], seed]
    if not run_button.is_requested("emergence", pressed, settings):
        st.caption(
            "Press *Measure every checkpoint*: about two seconds per checkpoint of a small model, "
            "once."
        )
        return None
    return measurements.measured("emergence", model, **arguments)


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
