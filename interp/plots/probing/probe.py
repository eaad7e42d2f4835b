"""Probe accuracy by site, with every control in the same picture."""

from typing import TYPE_CHECKING, Literal, get_args

import plotly.graph_objects as go

from interp.plots import theme

if TYPE_CHECKING:
    from interp.analyses.probing.probe import Probe

NAMES = {
    "untrained": "untrained model",
    "control_task": "control task",
    "shuffled": "shuffled labels",
    "bag_of_words": "bag of words",
}
DASHES = {
    "untrained": "dash",
    "control_task": "dashdot",
    "shuffled": "dot",
    "bag_of_words": "longdash",
}


View = Literal["accuracy", "confusion"]


def figure(result: "Probe", *, view: View = "accuracy") -> go.Figure:
    """Draw a probe.

    Args:
        result: of `interp.probe`.
        view: `accuracy` by site with the controls, or `confusion` of the classes at the best site.
    Raises:
        ConfigError: an unknown view.
    """
    theme.check_choice("view", view, get_args(View))
    return _confusion(result) if view == "confusion" else _accuracy(result)


def _accuracy(result: "Probe") -> go.Figure:
    sites = list(range(len(result.sites)))
    figure = theme.new_figure(x_title="site", y_title="accuracy on held-out stories", height=400)
    theme.add_line(figure, sites, **theme.curve(result.accuracy), name=f"{result.kind} probe")
    for name, intervals in result.controls.items():
        named = NAMES.get(name, name)
        theme.add_control(
            figure, sites, **theme.curve(intervals), name=named, dash=DASHES.get(name, "dash")
        )
    theme.add_level(figure, result.majority.value, name="majority")
    best = result.accuracy[result.best]
    figure.add_annotation(
        x=result.best, y=best.high, text=f"{best.value:.2f}", showarrow=False, yshift=12
    )
    figure.update_yaxes(range=[0, 1.06], tickformat=".1f")
    return figure.update_xaxes(
        **theme.named_ticks([theme.label(site, 24) for site in result.sites])
    )


def _confusion(result: "Probe") -> go.Figure:
    counts = result.confusion.double()
    shares = counts / counts.sum(1, keepdim=True).clamp_min(1)
    return theme.heatmap(
        shares,
        x=result.classes,
        y=result.classes,
        x_title="predicted",
        y_title="true",
        unit="share of the true class",
        low=0.0,
        high=1.0,
    )
