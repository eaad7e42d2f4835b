"""A logarithmic axis of training steps that has room for step 0."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

FEW = 7


def positions(steps: Sequence[float]) -> np.ndarray:
    """Where steps stand: log axes have no 0, so each step stands at step + 1."""
    return np.asarray(steps, dtype=float) + 1


def step_axis(figure: go.Figure, steps: Sequence[int], **where: int | None) -> go.Figure:
    """Name the steps on an axis whose numbers are `positions`.

    Args:
        figure: the figure whose axis is named; it is changed.
        steps: the checkpoints' steps; the first, the last and powers of ten between are named.
        where: `row` and `col` of a panel.
    """
    ends = [steps[0], steps[-1]]
    tens = [10**power for power in range(1, 10) if ends[0] < 10**power < ends[1] / 2]
    named = sorted({*ends, *tens})
    return figure.update_xaxes(
        type="log",
        tickmode="array",
        tickvals=positions(named).tolist(),
        ticktext=[f"{step:,}" for step in named],
        **where,
    )
