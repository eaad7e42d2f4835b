"""A model at chosen checkpoints: its words in two dimensions, a head's attention, the lens."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.analyses.learning.checkpoint_viewer import CheckpointViewer
from interp.core.errors import ConfigError
from interp.plots import theme
from interp.plots.label_sides import SIDES, label_sides

View = Literal["words", "attention", "lens"]
PANEL = (300.0, 320.0)
"""Pixels of a panel of words, about: labels that would meet there are left to the hover."""


def figure(result: CheckpointViewer, view: View = "words", steps: Sequence[int] = ()) -> go.Figure:
    """The same picture at several checkpoints, side by side.

    Args:
        result: of `checkpoint_viewer`.
        view: the words' embeddings (the lens where there are none), the head's attention, or the
            lens.
        steps: to show; none = the first, the middle and the last checkpoint.
    Raises:
        ConfigError: another view, or a step that is not in the result.
    """
    drawers = {"words": _words, "attention": _attention, "lens": _lens}
    theme.check_choice("view", view, drawers)
    if not set(steps) <= set(result.steps):
        raise ConfigError(f"steps needs to be among {result.steps}; got {tuple(steps)}.")
    if view == "words" and not result.words:
        view = "lens"
    numbers = [result.steps.index(step) for step in steps] or sorted(
        {0, len(result.steps) // 2, len(result.steps) - 1}
    )
    titles = [f"step {result.steps[number]:,}" for number in numbers]
    figure = make_subplots(
        rows=1, cols=len(numbers), subplot_titles=titles, horizontal_spacing=0.04,
        shared_yaxes=True, shared_xaxes=True,
    )  # fmt: skip
    theme.style(figure, height=460)
    figure.update_layout(legend_y=1.1, margin_t=80)
    for col, number in enumerate(numbers, start=1):
        drawers[view](figure, result, number, col)
    return figure


def _words(figure: go.Figure, result: CheckpointViewer, number: int, col: int) -> None:
    kinds = list(dict.fromkeys(result.kinds))
    reach = float(result.points.abs().max()) * 1.15 or 1.0
    names = [theme.label(word) for word in result.words]
    sides = label_sides(result.points[number].numpy() / (2 * reach), names, PANEL)
    for i, kind in enumerate(kinds):
        here = [n for n, each in enumerate(result.kinds) if each == kind]
        points = result.points[number, here].numpy()
        figure.add_trace(
            go.Scatter(
                x=points[:, 0], y=points[:, 1], mode="markers+text", name=theme.label(kind, 40),
                text=[names[n] if sides[n] else "" for n in here], textfont={"size": 9},
                textposition=[sides[n] or SIDES[0] for n in here],
                customdata=[names[n] for n in here],
                legendgroup=kind, showlegend=col == 1,
                marker={
                    "color": theme.paint(i), "size": 6,
                    "symbol": theme.SYMBOLS[i % len(theme.SYMBOLS)],
                },
                hovertemplate="%{customdata}<extra></extra>",
            ),
            row=1, col=col,
        )  # fmt: skip
    figure.update_xaxes(range=[-reach, reach], title_text="first direction", row=1, col=col)
    figure.update_yaxes(range=[-reach, reach], row=1, col=col)
    if col == 1:
        figure.update_yaxes(title_text="second direction", row=1, col=1)


def _attention(figure: go.Figure, result: CheckpointViewer, number: int, col: int) -> None:
    weights = result.pattern[number].numpy().copy()
    weights[np.triu_indices(len(weights), 1)] = np.nan
    trace = theme.heatmap_trace(
        weights, x=result.tokens, y=result.tokens, x_title="key", y_title="query",
        unit="attention weight", low=0.0, high=1.0, colorbar=col == 1,
    )  # fmt: skip
    figure.add_trace(trace, row=1, col=col)
    theme.label_grid(figure, result.tokens, result.tokens, row=1, col=col)


def _lens(figure: go.Figure, result: CheckpointViewer, number: int, col: int) -> None:
    trace = theme.heatmap_trace(
        result.chances[number], x=result.tokens, y=result.rows, x_title="after", y_title="layer",
        unit="probability of the best token", text=result.guesses[number], low=0.0, high=1.0,
        colorbar=col == 1,
    )  # fmt: skip
    figure.add_trace(trace, row=1, col=col)
    theme.label_grid(figure, result.tokens, result.rows, row=1, col=col)
