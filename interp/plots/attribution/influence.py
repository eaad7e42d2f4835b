"""What each training text did to a mistake: the strongest on either side, or all in order."""

from typing import Literal, get_args

import plotly.graph_objects as go
import torch

from interp.analyses.attribution.influence import Influence
from interp.plots import theme
from interp.plots.row_bars import signed_bars

UNIT = "score (rate ×<br>nats² per unit²)"
View = Literal["texts", "order", "overlap", "steps"]
VIEWS: tuple[View, ...] = get_args(View)


def figure(result: Influence, *, view: View = "texts") -> go.Figure:
    """The strongest texts, or all of them.

    Args:
        result: of `interp.influence`.
        view: `texts` (the strongest on either side), `order` (all, beside the controls),
            `overlap` (score against shared words) or `steps` (the strongest at each checkpoint).
    Raises:
        ConfigError: no such view.
    """
    drawing = {"texts": _texts, "order": _order, "overlap": _overlap, "steps": _steps}
    theme.check_choice("view", view, drawing)
    return drawing[view](result)


def _texts(result: Influence) -> go.Figure:
    numbers = list(result.strongest)
    names = tuple(f"{i}: {result.texts[i]}" for i in numbers)
    figure = signed_bars(names, -result.scores[numbers], unit=UNIT)
    figure.data[0].x = result.scores[numbers].tolist()
    return figure.update_layout(margin_l=260)


def _order(result: Influence) -> go.Figure:
    """Sorted scores, each set divided by its own largest, since only their shape compares."""
    figure = theme.new_figure(x_title="texts, sorted (%)", y_title="score / largest size")
    theme.add_line(figure, *_sorted(result.scores), name="texts", markers=False)
    for row in result.untrained[:1]:
        theme.add_control(figure, *_sorted(row), name="untrained model")
    if len(result.shuffled):
        largest = float(result.by_step[-1].abs().max())
        name = "words in random order, against the texts' largest"
        theme.add_control(figure, *_sorted(result.shuffled, largest), name=name, dash="dot")
    return figure


def _sorted(values: torch.Tensor, largest: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    size = largest or float(values.abs().max()) or 1.0
    place = torch.linspace(0, 100, len(values))
    return place, values.sort(descending=True).values / size


def _overlap(result: Influence) -> go.Figure:
    figure = theme.new_figure(x_title="shared words with the mistake (cosine)", y_title="score")
    words = [theme.label(text, 60) for text in result.texts]
    points = go.Scatter(
        x=result.overlap.tolist(),
        y=result.scores.tolist(),
        mode="markers",
        marker={"color": theme.CATEGORICAL[0], "size": 6, "opacity": 0.6},
        text=words,
        hovertemplate="%{text}<br>shared %{x:.2f}, score %{y:+.3~g}<extra></extra>",
    )
    return figure.add_trace(points)


def _steps(result: Influence) -> go.Figure:
    numbers = list(result.strongest)
    return theme.heatmap(
        result.by_step[:, numbers].T,
        x=[str(step) for step in result.steps] or ["now"],
        y=[f"{i}: {result.texts[i]}" for i in numbers],
        x_title="step",
        y_title="text",
        unit="score / rate",
        diverging=True,
    ).update_layout(margin_l=180)
