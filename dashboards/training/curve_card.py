"""The curves of a run up to its newest checkpoint: for the report, as files, table and Python."""

import streamlit as st

from dashboards.page import measurements, model_cache, result_card
from dashboards.page.model_list import Entry
from dashboards.pickers.choice import choice
from interp.analyses.learning.learning_curve import LearningCurve
from interp.core.errors import NotEnoughDataError
from interp.plots.learning.learning_curve import drawable
from interp.training.jobs import jobs
from interp.training.jobs.jobs import Job

NAMES = {
    "loss": "Loss",
    "learning_rate": "Learning rate",
    "gradient_norm": "Gradient norm",
    "tokens_per_second": "Tokens per second",
}
SOON = (
    "The curves can be added to the report and downloaded here once there is a checkpoint with a "
    "held-out loss; the first comes at step 0."
)


def curve_card(job: Job, *, log_x: bool) -> None:
    """The report, downloads, table and Python of the live curves, which are drawn above it.

    Args:
        job: the run.
        log_x: steps on a logarithmic axis.
    Raises:
        CheckpointError: its newest checkpoint, or its record, cannot be read.
    """
    result = _learning_curve(Entry(job.name, job.folder))
    views = drawable(result) if result else ()
    if not views:
        if job.state in jobs.ACTIVE:
            st.caption(SOON)
        return
    if job.state in jobs.ACTIVE:
        step = result.provenance.step
        st.caption(f"Up to the newest checkpoint, step {step:,}; the curves above are live.")
    names = {view: NAMES[view] for view in views}
    view = choice("Curve in the report and the downloads", names, "curve")
    title = f"Training of {job.name}: {NAMES[view].lower()}"
    options = {"view": view, "log_x": log_x}
    # Nothing is drawn here: the live curves above show the same and more.
    result_card.show(result, title, key=f"curve_{view}", picture=lambda: None, **options)


def _learning_curve(entry: Entry) -> LearningCurve | None:
    """The curves up to the newest checkpoint; None while none has a held-out loss."""
    if entry.step is None:
        return None
    model = model_cache.opened(entry, None if entry.is_finished else entry.step)
    try:
        return measurements.measured("learning_curve", model)
    except NotEnoughDataError:
        return None
