"""A run's curves over its steps: losses between guessing and the floor, rate, norm, speed."""

from typing import Literal, get_args

import numpy as np
import plotly.graph_objects as go
from torch import Tensor

from interp.core.errors import ConfigError
from interp.plots import theme
from interp.runs.curves import TrainingCurves

View = Literal["loss", "learning_rate", "gradient_norm", "tokens_per_second"]
TITLES = {
    "loss": "loss (nats/token)",
    "learning_rate": "learning rate",
    "gradient_norm": "gradient norm",
    "tokens_per_second": "tokens/s",
}
MOST_MARKED = 60
ROOM = 1.15
"""How far the axis goes beyond the highest loss: the numbers of the stages stand there."""


def figure(result: TrainingCurves, *, view: View = "loss", log_x: bool = False) -> go.Figure:
    """Draw one of the curves; the loss with everything that it is compared with.

    Args:
        result: of `interp.learning_curve`, or the curves of a run that goes on.
        view: `loss`, `learning_rate`, `gradient_norm` or `tokens_per_second`.
        log_x: steps on a logarithmic axis, which has no step 0.
    Raises:
        ConfigError: no such view, or nothing of it is on record.
    """
    theme.check_choice("view", view, get_args(View))
    if view not in drawable(result):
        raise ConfigError(
            f"The record has no {view.replace('_', ' ')}; it has {', '.join(drawable(result))}. "
            "Draw one of these."
        )
    figure = theme.new_figure(x_title="step", y_title=TITLES[view])
    if view == "loss":
        _losses(figure, result, log_x)
    else:
        steps = result.timings if view == "tokens_per_second" else result.updates
        _line(figure, steps, getattr(result, view), TITLES[view], log_x)
        figure.update_layout(showlegend=False)
        figure.update_yaxes(rangemode="tozero")
    return figure.update_xaxes(type="log" if log_x else "linear", dtick=1 if log_x else None)


def drawable(result: TrainingCurves) -> tuple[str, ...]:
    """The views of which anything is on record."""
    values = {
        "loss": (result.training_loss, result.held_out_loss),
        "learning_rate": (result.learning_rate,),
        "gradient_norm": (result.gradient_norm,),
        "tokens_per_second": (result.tokens_per_second,),
    }
    return tuple(
        view for view, curves in values.items() if any(bool(c.isfinite().any()) for c in curves)
    )


def _losses(figure: go.Figure, result: TrainingCurves, log_x: bool) -> None:
    _stages(figure, result, log_x)
    _line(figure, result.updates, result.training_loss, "training", log_x)
    _line(figure, result.evaluations, result.held_out_loss, "held-out", log_x, color=1)
    for name, value in result.levels.items():
        theme.add_level(figure, value, name=name)
        if name == "floor":  # on the right, curves end at it
            figure.layout.annotations[-1].update(x=0, xanchor="left")
    figure.update_yaxes(range=[0, ROOM * _highest(figure, result)])


def _highest(figure: go.Figure, result: TrainingCurves) -> float:
    seen = [*result.levels.values(), *(float(line.y.max()) for line in figure.data if len(line.y))]
    return max(seen, default=1.0)


def _line(
    figure: go.Figure, steps: Tensor, values: Tensor, name: str, log_x: bool, *, color: int = 0
) -> None:
    """A line through what is finite, thin where it is of many updates."""
    known = values.isfinite() & ((steps > 0) | (not log_x))
    steps, values = steps[known], values[known]
    marked = 0 < len(values) <= MOST_MARKED and (color > 0 or len(values) == 1)
    theme.add_line(figure, steps, values, name=name, color=color, markers=marked)
    if not color and len(values) > MOST_MARKED:
        figure.data[-1].line.width = 1.2


def _stages(figure: go.Figure, result: TrainingCurves, log_x: bool) -> None:
    """The stages of the curriculum, each by its number, which the caption explains.

    Every second one is shaded.
    """
    ends = [*result.stage_starts[1:], max((*result.updates.tolist(), *result.evaluations.tolist()))]
    for number, (name, start) in enumerate(zip(result.stages, result.stage_starts, strict=True)):
        figure.add_shape(type="rect", x0=max(start, 1), x1=max(ends[number], 1), y0=0, y1=1,
                        yref="y domain", layer="below", line={"width": 0}, fillcolor=theme.GRID,
                        opacity=0.45, visible=number % 2 == 1)  # fmt: skip
        line = {"color": theme.GRID, "width": 1.5}
        figure.add_shape(type="line", x0=start, x1=start, y0=0, y1=1, yref="y domain",
                        layer="below", line=line, visible=number > 0)  # fmt: skip
        figure.add_annotation(
            text=str(number + 1), hovertext=theme.label(f"stage {number + 1}: {name}", 60),
            x=np.log10(max(start, 1)).item() if log_x else start, y=1, yref="y domain",
            xanchor="left", yanchor="top", showarrow=False,
            font={"size": 11, "color": theme.MUTED},
        )  # fmt: skip
    if result.stages:
        title = theme.in_lines("step (numbers on top: stages of the curriculum)")
        figure.update_xaxes(title_text=title)
