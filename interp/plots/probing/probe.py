"""Probe accuracy by site, with every control in the same picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from interp.core.statistics.intervals import Interval
from interp.plots.theme import add_control, add_level, add_line, heatmap, label, new_figure

if TYPE_CHECKING:
    from interp.analyses.probing.probe import Probe

NAMES = {
    "untrained": "untrained model",
    "control_task": "control task",
    "shuffled": "shuffled labels",
}
DASHES = {"untrained": "dash", "control_task": "dashdot", "shuffled": "dot"}


def figure(result: "Probe", *, view: str = "accuracy") -> go.Figure:
    """Draw a probe.

    Args:
        result: of `interp.probe`.
        view: `accuracy` by site with the controls, or `confusion` of the classes at the best site.
    """
    return _confusion(result) if view == "confusion" else _accuracy(result)


def _accuracy(result: "Probe") -> go.Figure:
    sites = list(range(len(result.sites)))
    figure = new_figure(x_title="site", y_title="accuracy on held-out stories", height=400)
    add_line(figure, sites, **_curve(result.accuracy), name=f"{result.kind} probe")
    for name, intervals in result.controls.items():
        named = NAMES.get(name, name)
        add_control(figure, sites, **_curve(intervals), name=named, dash=DASHES.get(name, "dash"))
    add_level(figure, result.majority.value, name="majority")
    best = result.accuracy[result.best]
    figure.add_annotation(
        x=result.best, y=best.high, text=f"{best.value:.2f}", showarrow=False, yshift=12
    )
    figure.update_yaxes(range=[0, 1.06], tickformat=".1f")
    names = [label(site, 24) for site in result.sites]
    return figure.update_xaxes(tickmode="array", tickvals=sites, ticktext=names)


def _curve(intervals: Sequence[Interval]) -> dict[str, list[float]]:
    return {
        "y": [interval.value for interval in intervals],
        "low": [interval.low for interval in intervals],
        "high": [interval.high for interval in intervals],
    }


def _confusion(result: "Probe") -> go.Figure:
    counts = result.confusion.double()
    shares = counts / counts.sum(1, keepdim=True).clamp_min(1)
    return heatmap(
        shares,
        x=result.classes,
        y=result.classes,
        x_title="predicted",
        y_title="true",
        unit="share of the true class",
        low=0.0,
        high=1.0,
    )
