"""Where an edit of the state takes: success by layer and token, and controls at one cell."""

from typing import TYPE_CHECKING, Literal

import plotly.graph_objects as go

from interp.core.statistics.intervals import Interval
from interp.plots import theme

if TYPE_CHECKING:
    from interp.analyses.interventions.state_edit import StateEdit

POSITIONS = {
    "told": "last said",
    "named": "name in question",
    "asked": "before answer",
}
NAMES = {
    "random": "random direction",
    "other_variable": "another variable",
    "other_entity": "somebody else's token",
    "untrained": "untrained model",
    "unedited": "no edit",
}


def figure(result: "StateEdit", *, view: Literal["grid", "rates"] = "grid") -> go.Figure:
    """Draw an edit of the state.

    Args:
        result: of `interp.state_edit`.
        view: `grid`: success by layer (down) and token (across) on the tuning questions; `rates`:
            the best cell on held-out ones, beside its controls.
    Raises:
        ConfigError: an unknown view.
    """
    theme.check_choice("view", view, ("grid", "rates"))
    return _rates(result) if view == "rates" else _grid(result)


def _grid(result: "StateEdit") -> go.Figure:
    words = [POSITIONS.get(name, name) for name in result.positions]
    figure = theme.heatmap(
        result.grid,
        x=words,
        y=result.sites,
        x_title="token that is edited",
        y_title="layer",
        unit="share answered with the new value",
        low=0.0,
        high=1.0,
    )
    for row, values in enumerate(result.grid.tolist()):
        for column, value in enumerate(values):
            figure.add_annotation(
                x=column, y=row, text=f"{value:.2f}", showarrow=False,
                font={"size": 13, "color": theme.INK if value > 0.6 else theme.PAPER},
            )  # fmt: skip
    return figure.update_layout(height=90 + 52 * len(result.sites))


def _rates(result: "StateEdit") -> go.Figure:
    other = f" ({result.other})" if result.other else ""
    names = {**NAMES, "other_variable": NAMES["other_variable"] + other}
    rows = {"the edit": result.success}
    rows |= {names.get(name, name): interval for name, interval in result.controls.items()}
    figure = theme.new_figure(
        x_title="share of questions answered with the new value", height=90 + 44 * len(rows)
    )
    for place, (name, interval) in enumerate(rows.items()):
        figure.add_trace(_dot(name, interval, place))
    theme.name_rows(figure, list(rows))
    return figure.update_xaxes(range=[-0.03, 1.03], zeroline=False).update_layout(showlegend=False)


def _dot(name: str, interval: Interval, place: int) -> go.Scatter:
    color = theme.CATEGORICAL[0] if place == 0 else theme.CONTROL
    words = f"{theme.label(name, 40)}<br>{interval}"
    return go.Scatter(
        x=[interval.value],
        y=[place],
        mode="markers",
        name=theme.label(name, 40),
        marker={"size": 11, "color": color, "symbol": "circle" if place == 0 else "diamond"},
        error_x=theme.whiskers([interval], color),
        hovertemplate=f"{words}<extra></extra>",
        cliponaxis=False,
    )
