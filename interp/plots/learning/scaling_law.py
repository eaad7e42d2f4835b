"""A model among published ones by size and text, and the law of losses over a sweep of runs."""

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

from interp.methods.checkpoints.scaling_law import predicted
from interp.plots import theme

if TYPE_CHECKING:
    from interp.analyses.learning.scaling_law import ScalingLaw

VIEWS = ("models", "law")
AXES = ("parameters", "training tokens")
BUDGETS = tuple(range(12, 28, 3))
NAMED = {
    "GPT-3": "bottom center",
    "Chinchilla": "middle left",
    "Llama 3 405B": "top left",
    "Pythia 70M": "bottom center",
    "SmolLM2 135M": "middle left",
    "SmolLM2 1.7B": "top left",
}
"""Those whose names are written beside them, and where; the others tell theirs when pointed at."""
LOSSES = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10)
BEYOND = 10.0
"""How far past the data the curves are drawn."""


def figure(result: "ScalingLaw", view: Literal["models", "law"] = "models") -> go.Figure:
    """Draw a model among published ones, or the fitted law.

    Args:
        result: of `interp.scaling_law`.
        view: `models` = parameters and training tokens of this model and of published ones; `law` =
            held-out loss of the runs by size and by text, with the fitted law.
    Raises:
        ConfigError: there is no such view.
    """
    theme.check_choice("view", view, VIEWS)
    return _models(result) if view == "models" else _law(result)


def _models(result: "ScalingLaw") -> go.Figure:
    figure = theme.new_figure(
        x_title="parameters", y_title="tokens in training (repetitions included)", height=480
    )
    _budgets(figure)
    names, sizes = result.published_names, result.published_parameters.tolist()
    published = go.Scatter(
        x=sizes,
        y=result.published_tokens.tolist(),
        text=[theme.label(name, 40) if name in NAMED else "" for name in names],
        customdata=[
            [theme.label(name, 40), theme.label(source, 90)]
            for name, source in zip(names, result.published_sources, strict=True)
        ],
        mode="markers+text",
        textposition=[NAMED.get(name, "middle right") for name in names],
        textfont={"size": 10, "color": theme.MUTED},
        marker={"size": 8, "color": theme.CATEGORICAL[0]},
        name="published",
        hovertemplate="%{customdata[0]}<br>%{x:.3~s} parameters, %{y:.3~s} tokens"
        "<br>%{customdata[1]}<extra></extra>",
    )
    figure.add_trace(published)
    if result.tokens:
        figure.add_trace(_this(result))
    figure.update_xaxes(type="log", range=[4, 12.2], dtick=2, exponentformat="power")
    figure.update_yaxes(type="log", range=[5, 14.2], dtick=2, exponentformat="power")
    return figure


def _this(result: "ScalingLaw") -> go.Scatter:
    name = theme.label(result.provenance.model, 40)
    return go.Scatter(
        x=[result.parameters],
        y=[result.tokens],
        text=[name],
        mode="markers+text",
        textposition="middle right",
        marker={"size": 14, "symbol": "star", "color": theme.CATEGORICAL[1]},
        name="this model",
        hovertemplate="%{text}<br>%{x:,} parameters, %{y:,} tokens<extra></extra>",
    )


def _budgets(figure: go.Figure) -> None:
    """Lines of equal computation, 6 N D."""
    x = np.array([1e4, 1.6e12])
    for power in BUDGETS:
        figure.add_scatter(
            x=x,
            y=10.0**power / 6 / x,
            mode="lines",
            line={"color": theme.GRID, "width": 1},
            hoverinfo="skip",
            name="equal operations, 6 N D",
            showlegend=power == BUDGETS[0],
        )
        at = min(1e12, max(1.2e4, 10.0**power / 6 / 1e14))
        figure.add_annotation(
            x=math.log10(at), y=math.log10(10.0**power / 6 / at), text=f"10<sup>{power}</sup>",
            showarrow=False, font={"size": 10, "color": theme.MUTED}, bgcolor=theme.PAPER,
            xanchor="left", yanchor="top",
        )  # fmt: skip


def _law(result: "ScalingLaw") -> go.Figure:
    figure = make_subplots(cols=2, shared_yaxes=True, horizontal_spacing=0.05)
    theme.style(figure, height=440)
    if not result.run_names:
        return _note(figure, result)
    data = torch.stack([result.run_parameters, result.run_tokens], 1).double().numpy()
    for column in (0, 1):
        other = data[:, 1 - column]
        for number, level in enumerate(sorted(set(other.tolist()))):
            name = f"{_count(level)} {'tokens' if column == 0 else 'parameters'}"
            mine = other == level
            _runs(figure, result, data[mine, column], mine, name, number, column)
            if result.law:
                last = level == other.max()
                _curve(figure, result, data, column, level, number, band=last)
        figure.update_xaxes(
            title_text=AXES[column], type="log", exponentformat="power", row=1, col=column + 1
        )
        if not math.isnan(result.floor):
            _floor(figure, result, data[:, column], column)
    figure.update_yaxes(type="log", tickvals=LOSSES, ticktext=[f"{loss:g}" for loss in LOSSES])
    figure.update_yaxes(title_text="held-out loss (nats a token)", row=1, col=1)
    figure.update_layout(legend={"orientation": "v", "x": 1.02, "y": 1, "yanchor": "top"})
    return _note(figure, result)


def _runs(
    figure: go.Figure, result: "ScalingLaw", x: np.ndarray, own: np.ndarray, name: str, number: int,
    column: int,
) -> None:  # fmt: skip
    names = [name for name, here in zip(result.run_names, own, strict=True) if here]
    figure.add_scatter(
        x=x,
        y=result.run_loss.numpy()[own],
        mode="markers",
        marker={"color": theme.paint(number), "symbol": theme.SYMBOLS[number % 7], "size": 7},
        name=name,
        text=[theme.label(name, 60) for name in names],
        hovertemplate="%{text}<br>loss %{y:.4f} nats a token<extra></extra>",
        row=1,
        col=column + 1,
    )


def _curve(
    figure: go.Figure,
    result: "ScalingLaw",
    data: np.ndarray,
    column: int,
    level: float,
    number: int,
    *,
    band: bool,
) -> None:
    """The law along one axis at a fixed place of the other, on beyond the data."""
    if column not in result.law_varied:
        return
    x = np.geomspace(data[:, column].min(), data[:, column].max() * BEYOND, 50)
    places = np.empty((len(x), 2))
    places[:, column], places[:, 1 - column] = x, level
    at = np.log(places[:, result.law_varied]) - result.law_middle.double().numpy()
    loss = np.exp(predicted(result.law_weights.double().numpy(), at))
    where = {"row": 1, "col": column + 1}
    if band:
        low, high = np.quantile(loss[1:], (0.025, 0.975), axis=0)
        theme.add_band(figure, x, low, high, color=theme.paint(number), **where)
    line = {"color": theme.paint(number), "width": 1.5}
    figure.add_scatter(x=x, y=loss[0], mode="lines", line=line, showlegend=False, hoverinfo="skip",
                      **where)  # fmt: skip


def _floor(figure: go.Figure, result: "ScalingLaw", x: np.ndarray, column: int) -> None:
    """A level as a line of its own: a level of plotly's is misplaced on an axis of logarithms."""
    figure.add_scatter(
        x=[x.min(), x.max() * BEYOND],
        y=[result.floor] * 2,
        mode="lines",
        line={"color": theme.CONTROL, "width": 1.5, "dash": "dot"},
        name="exact floor",
        showlegend=column == 0,
        row=1,
        col=column + 1,
    )


def _note(figure: go.Figure, result: "ScalingLaw") -> go.Figure:
    if result.no_law:
        figure.add_annotation(
            text=theme.label(result.no_law, 200), x=0.5, y=1.08, xref="paper", yref="paper",
            showarrow=False, font={"color": theme.MUTED, "size": 12},
        )  # fmt: skip
    return figure


def _count(value: float) -> str:
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:.0f}"
