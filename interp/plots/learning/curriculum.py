"""Runs side by side over the tokens they read: levels, answers, mixtures, and how it ended."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, get_args

import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots
from torch import Tensor

from interp.core.display import percent
from interp.core.errors import ConfigError
from interp.core.statistics.over_seeds import mean_over_seeds
from interp.plots import theme

if TYPE_CHECKING:
    from interp.analyses.learning.curriculum import Curriculum

View = Literal["loss", "answers", "mixture", "end"]
ACROSS = 3
MILLION = 1e6
LOSS = "loss (nats/token)"


def figure(result: "Curriculum", *, view: View = "loss") -> go.Figure:
    """Draw the runs: thin lines are runs, thick ones means of a group with their intervals.

    Args:
        result: of `interp.curriculum`.
        view: `loss` by level, `answers` by kind of question, `mixture` of levels that was taught,
            or how it came out at the `end`.
    Raises:
        ConfigError: no such view, or no answers in this result.
    """
    theme.check_choice("view", view, get_args(View))
    if view == "answers" and not result.kinds:
        raise ConfigError("This world asks no questions, so there are no answers. Draw the loss.")
    if view == "mixture":
        return _mixture(result)
    return _end(result) if view == "end" else _over_time(result, view)


def _over_time(result: "Curriculum", view: View) -> go.Figure:
    """A panel for each level or kind of question."""
    names = result.levels if view == "loss" else result.kinds
    values = result.loss if view == "loss" else result.accuracy
    prefix, title = ("loss, ", LOSS) if view == "loss" else ("answers, ", "share right")
    figure, place = _panels(list(names), prefix, title)
    for k in range(len(names)):
        for number, group in enumerate(result.names):
            mine = values[result.members(group), :, k]
            _lines(figure, result, mine, group, number, place(k), first=k == 0)
        if view == "loss" and result.floor[k] == result.floor[k]:
            theme.add_level(figure, float(result.floor[k]), name="floor", **place(k))
        if view == "loss":
            # Up to the highest run: the interval of two runs would squeeze them into a line.
            top = float(values[..., k].nan_to_num(0.0).max())
            figure.update_yaxes(range=[0.0, 1.06 * top], **place(k))
    if view == "answers":
        figure.update_yaxes(range=[-0.03, 1.03])
    return figure


def _panels(
    names: Sequence[str], prefix: str, y_title: str
) -> tuple[go.Figure, Callable[[int], dict[str, int]]]:
    """Empty panels over the tokens, the first of each row with the unit, and where each one is."""
    across = min(len(names), ACROSS)
    down = -(-len(names) // across)
    figure = make_subplots(
        rows=down,
        cols=across,
        subplot_titles=[theme.label(f"{prefix}{name}".replace("_", " "), 40) for name in names],
        vertical_spacing=0.34 / down,
        horizontal_spacing=0.08,
    )
    theme.style(figure, height=270 * down + 90)
    places = [{"row": k // across + 1, "col": k % across + 1} for k in range(len(names))]
    for k, place in enumerate(places):
        below_is_empty = k + across >= len(names)
        figure.update_xaxes(title_text="million tokens" if below_is_empty else "", **place)
    figure.update_yaxes(title_text=y_title, col=1)
    figure.update_layout(margin={"t": 92}, legend={"y": 1 + 44 / (270 * down)})
    return figure, places.__getitem__


def _lines(
    figure: go.Figure,
    result: "Curriculum",
    values: Tensor,
    group: str,
    number: int,
    place: dict[str, int],
    *,
    first: bool,
) -> None:
    """A group's runs, thin, and their mean with its interval."""
    x = [tokens / MILLION for tokens in result.tokens]
    runs = [run for run, of in zip(result.runs, result.groups, strict=True) if of == group]
    for run, line in zip(runs, values, strict=True):
        if len(values) > 1:
            figure.add_trace(_thin(x, line, run, group, theme.paint(number)), **place)
    spread = [mean_over_seeds(values[:, j]) for j in range(values.shape[1])]
    theme.add_line(
        figure,
        x,
        **theme.curve(spread),
        name=group,
        color=number,
        markers=False,
        legend=first,
        **place,
    )


def _thin(x: Sequence[float], line: Tensor, run: str, group: str, color: str) -> go.Scatter:
    return go.Scatter(
        x=list(x),
        y=line.tolist(),
        mode="lines",
        line={"color": color, "width": 0.8},
        opacity=0.55,
        legendgroup=theme.label(group, 60),
        showlegend=False,
        name=theme.label(run, 60),
        hovertemplate=f"{theme.label(run, 60)}<br>%{{x:.3~g}} M tokens: %{{y:.3~f}}<extra></extra>",
    )


def _mixture(result: "Curriculum") -> go.Figure:
    """What each group was taught: shares of the levels, of its first run."""
    figure, place = _panels(list(result.names), "", "share of the text")
    colors = _shades(len(result.levels))
    x = [tokens / MILLION for tokens in result.tokens]
    for k, group in enumerate(result.names):
        shares = result.shares[int(result.members(group)[0])]
        for level, name in enumerate(result.levels):
            figure.add_trace(
                go.Scatter(
                    x=x,
                    y=shares[:, level].tolist(),
                    stackgroup=str(k),
                    mode="lines",
                    line={"width": 0, "shape": "vh", "color": colors[level]},
                    fillcolor=colors[level],
                    name=theme.label(name, 40),
                    legendgroup=theme.label(name, 40),
                    showlegend=k == 0,
                    hovertemplate=f"{theme.label(name, 40)}: %{{y:.0%}}<extra></extra>",
                ),
                **place(k),
            )
    return figure.update_yaxes(range=[0, 1], tickformat=".0%")


def _shades(n: int) -> list[str]:
    """From dark to light along the sequential map, easiest level first."""
    from plotly.colors import sample_colorscale

    return sample_colorscale(theme.SEQUENTIAL, [0.1 + 0.8 * i / max(n - 1, 1) for i in range(n)])


def _end(result: "Curriculum") -> go.Figure:
    """The last loss and answers on the hardest level, and the tokens it took: a dot a run."""
    panels = [(f"last loss, {result.levels[-1]} (nats/token)", result.loss[:, -1, -1])]
    if result.kinds:
        panels.append((f"answers, {result.levels[-1]} (share)", result.score[:, -1]))
    title = (
        f"million tokens to {percent(result.threshold)} {'right' if result.kinds else 'of the way'}"
    )
    panels.append((title, result.tokens_to_threshold / MILLION))
    figure = make_subplots(
        rows=1, cols=len(panels), subplot_titles=[theme.label(name, 60) for name, _ in panels]
    )
    theme.style(figure, height=360)
    for col, (_, values) in enumerate(panels, 1):
        for number, group in enumerate(result.names):
            _dots(figure, result, values, group, number, col)
    figure.update_xaxes(
        **theme.named_ticks([theme.label(name, 20) for name in result.names]),
        range=[-0.6, len(result.names) - 0.4],
        showgrid=False,
    )
    return figure.update_yaxes(rangemode="tozero").update_layout(showlegend=False, margin_t=56)


def _dots(
    figure: go.Figure, result: "Curriculum", values: Tensor, group: str, number: int, col: int
) -> None:
    own = values[result.members(group)]
    known = torch.nonzero(~own.isnan()).flatten().tolist()
    runs = [run for run, of in zip(result.runs, result.groups, strict=True) if of == group]
    color = theme.paint(number)
    dots = go.Scatter(
        x=[number - 0.12 + 0.24 * i / max(len(own) - 1, 1) for i in known],
        y=own[known].tolist(),
        mode="markers",
        marker={"color": color, "size": 8, "opacity": 0.75},
        text=[theme.label(runs[i], 60) for i in known],
        hovertemplate="%{text}: %{y:.4~g}<extra></extra>",
        name=theme.label(group, 60),
    )
    figure.add_trace(dots, row=1, col=col)
    if len(known) < len(own):
        figure.add_annotation(
            text=f"{len(own) - len(known)} of {len(own)} never",
            x=number,
            y=0,
            yanchor="bottom",
            showarrow=False,
            font={"size": 11, "color": theme.MUTED},
            row=1,
            col=col,
        )
    # Where a run never got there, a mean of those that did would be one of survivors only.
    mean = mean_over_seeds(own)
    if mean.n == len(own):
        bar = go.Scatter(
            x=[number - 0.25, number + 0.25],
            y=[mean.value] * 2,
            mode="lines",
            line={"color": color, "width": 2.5},
            hovertemplate=f"{theme.label(group, 60)}, mean: {mean}<extra></extra>",
        )
        figure.add_trace(bar, row=1, col=col)
