"""R² of a regression by site with every control, or the predicted numbers beside the true ones."""

from typing import TYPE_CHECKING, Literal, get_args

import plotly.graph_objects as go

from interp.plots import theme
from interp.plots.probing.probe import DASHES, NAMES

if TYPE_CHECKING:
    from interp.analyses.probing.regression_probe import RegressionProbe

View = Literal["r2", "numbers"]


def figure(result: "RegressionProbe", *, view: View = "r2") -> go.Figure:
    """Draw a regression probe.

    Args:
        result: of `interp.regression_probe`.
        view: `r2` by site with the controls, or `numbers` predicted at the best site.
    Raises:
        ConfigError: an unknown view.
    """
    theme.check_choice("view", view, get_args(View))
    return _numbers(result) if view == "numbers" else _sites(result)


def _sites(result: "RegressionProbe") -> go.Figure:
    sites = list(range(len(result.sites)))
    figure = theme.new_figure(x_title="site", y_title="R² on held-out rows", height=400)
    theme.add_line(figure, sites, **theme.curve(result.r2), name="ridge regression")
    for name, intervals in result.controls.items():
        curve = theme.curve(intervals)
        theme.add_control(figure, sites, **curve, name=NAMES[name], dash=DASHES[name])
    theme.add_level(figure, 0.0, name="the mean")
    # Far below 0 a curve only says that it is useless; there it would hide the others.
    lowest = min([0.0, *(i.value for i in result.r2)])
    figure.update_yaxes(range=[max(lowest, -1.0) - 0.1, 1.06], tickformat=".1f")
    ticks = theme.named_ticks([theme.label(site, 24) for site in result.sites])
    return figure.update_xaxes(**ticks)


def _numbers(result: "RegressionProbe") -> go.Figure:
    figure = theme.new_figure(x_title=f"true {theme.label(result.variable)}", y_title="predicted")
    ends = [float(result.numbers.min()), float(result.numbers.max())]
    points = go.Scatter(
        x=result.numbers.tolist(),
        y=result.predicted.tolist(),
        mode="markers",
        marker={"color": theme.CATEGORICAL[0], "size": 6, "opacity": 0.6},
        name="rows",
    )
    figure.add_trace(points)
    theme.add_control(figure, ends, ends, name="exact")
    return figure
