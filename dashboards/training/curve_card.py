"""A run's curves at its newest checkpoint: for the report, as files, as a table, as Python."""

import streamlit as st

from dashboards.page import header, measurements, model_cache, result_card
from dashboards.page.model_list import Entry
from interp.analyses.learning.learning_curve import LearningCurve
from interp.core.errors import NotEnoughDataError
from interp.plots.learning.learning_curve import drawable
from interp.training.jobs import jobs
from interp.training.jobs.jobs import Job

NAMES = {
    "loss": "Loss",
    "learning_rate": "Learning rate",
    "gradient_norm": "Gradient norm",
    "tokens_per_second": "Tokens a second",
}
SOON = (
    "From the first checkpoint on, which comes at step 0 with the first held-out loss, the curves "
    "can be added to the report and downloaded here."
)


def curve_card(job: Job, *, log_x: bool) -> None:
    """What can be taken home of the live curves, which are drawn above it.

    Args:
        job: the run.
        log_x: steps on a logarithmic axis.
    Raises:
        CheckpointError: its newest checkpoint, or its record, cannot be read.
    """
    result = _measured(Entry(job.name, job.folder))
    views = drawable(result) if result else ()
    if not views:
        if job.state in jobs.ACTIVE:
            st.caption(SOON)
        return
    if job.state in jobs.ACTIVE:
        step = result.provenance.step
        st.caption(f"Up to the newest checkpoint, step {step:,}; the curves above go on.")
    view = st.segmented_control(
        "In the report and the downloads", views, default=views[0], required=True,
        format_func=NAMES.__getitem__, key="curve", **header.LINK,
    )  # fmt: skip
    result_card.show(
        result,
        f"How {job.name} learned: {NAMES[view].lower()}",
        key=f"curve_{view}",
        picture=_drawn_above,
        view=view,
        log_x=log_x,
    )


def _measured(entry: Entry) -> LearningCurve | None:
    """At the newest checkpoint; None while there is none that has a loss."""
    if entry.step is None:
        return None
    model = model_cache.opened(entry, None if entry.is_finished else entry.step)
    try:
        return measurements.measured("learning_curve", model)
    except NotEnoughDataError:
        return None


def _drawn_above() -> None:
    """Nothing: the live curves are this picture, and further on."""
