"""A strip for each measure: the unedited model, the steered one, and the random directions."""

import math
from typing import TYPE_CHECKING

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.core.statistics.intervals import Interval
from interp.plots import theme

if TYPE_CHECKING:
    from interp.analyses.interventions.steering_metrics import SteeringMetrics

NAMES = {
    "well_formed": "well formed",
    "consistent": "true of the story",
    "repetition": "repeated trigrams",
    "regret_nats_per_token": "regret (nats a token)",
    "loss_nats_per_token": "loss (nats a token)",
    "kl_nats_per_token": "KL (nats a token)",
}

STRIP_HEIGHT, LABEL_HEIGHT = 56, 18
"""Pixels: of a strip with its tick labels, and of the labels."""


def figure(result: "SteeringMetrics") -> go.Figure:
    """Draw the measures, one below the other; shares from 0 to 1, nats from 0 on.

    Args:
        result: of `interp.steering_metrics`.
    """
    names = [name for name, interval in result.steered.items() if interval.value == interval.value]
    # Room for a strip's tick labels, which the grid lines of the strip below would run through.
    spacing = LABEL_HEIGHT / (STRIP_HEIGHT * len(names))
    figure = make_subplots(rows=len(names), cols=1, vertical_spacing=spacing)
    theme.style(figure, height=STRIP_HEIGHT * len(names) + 60)
    for row, name in enumerate(names, 1):
        _strip(figure, result, name, row)
    figure.update_yaxes(range=[-1, 1], showline=False, ticks="", showgrid=False, zeroline=False)
    figure.update_xaxes(showline=False, ticks="", nticks=5, automargin=False)
    figure.update_xaxes(tickfont={"size": 10, "color": theme.MUTED})
    return figure.update_layout(margin={"t": 36, "b": 28, "l": 8})


def _strip(figure: go.Figure, result: "SteeringMetrics", name: str, row: int) -> None:
    low, high = result.band(name)
    place = {"row": row, "col": 1}
    if low == low:
        figure.add_trace(_band(result, name, low, high, first=row == 1), **place)
    marks = (
        ("unedited", result.base[name], theme.MUTED, "circle-open"),
        ("steered", result.steered[name], theme.CATEGORICAL[0], "circle"),
    )
    for label, interval, color, symbol in marks:
        figure.add_trace(_dot(label, interval, color, symbol, first=row == 1), **place)
    title = theme.label(NAMES.get(name, name), 40)
    figure.update_yaxes(tickvals=[0], ticktext=[title], **place)
    top = _top(name, result, high)
    figure.update_xaxes(range=[-0.03 * top, top * 1.04], **place)


def _top(name: str, result: "SteeringMetrics", high: float) -> float:
    if not name.endswith("per_token"):
        return 1.0
    ends = (result.base[name].high, result.steered[name].high, high)
    return max([0.1, *(end for end in ends if math.isfinite(end))])


def _band(
    result: "SteeringMetrics", name: str, low: float, high: float, *, first: bool
) -> go.Scatter:
    count = len(result.random[name])
    return go.Scatter(
        x=[low, high, high, low, low],
        y=[-0.55, -0.55, 0.55, 0.55, -0.55],
        fill="toself",
        fillcolor="rgba(132,141,151,0.28)",
        line={"width": 1, "color": "rgba(132,141,151,0.5)"},
        mode="lines",
        name=f"{count} random directions",
        legendgroup="random",
        showlegend=first,
        hoverinfo="skip",
    )


def _dot(label: str, interval: Interval, color: str, symbol: str, *, first: bool) -> go.Scatter:
    return go.Scatter(
        x=[interval.value],
        y=[0.0],
        mode="markers",
        name=label,
        legendgroup=label,
        showlegend=first,
        marker={"color": color, "symbol": symbol, "size": 11, "line": {"width": 2}},
        error_x=theme.whiskers([interval], color, thickness=1.2, width=0),
        hovertemplate=f"{label}: %{{x:.3~g}}<extra></extra>",
    )
