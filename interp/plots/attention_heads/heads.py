"""The table of heads: layers run down, heads run across, a panel a quantity."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from jaxtyping import Float
from plotly.subplots import make_subplots
from torch import Tensor

from interp.analyses.attention_heads.heads import SCORES, Heads
from interp.plots import theme

TITLES = {
    "previous_token": "previous token",
    "duplicate_token": "duplicate token",
    "induction": "induction",
    "first_token": "first token",
}
MOST_NUMBERS = 64
ABLATIONS = ("ablation", "ablation_texts")


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One table: title, values and their intervals, words on hover."""

    title: str
    values: Float[Tensor, "layer head"]
    words: list[list[str]]
    signed: bool


def figure(result: Heads, *, score: str = "") -> go.Figure:
    """Every score and every loss change, or one of them large; hover tells interval and control.

    Args:
        result: of `interp.heads`.
        score: one panel only: `induction`, … or `ablation`, `ablation_texts`.
    Raises:
        ConfigError: no such panel.
    """
    panels = _panels(result)
    if score:
        theme.check_choice("score", score, panels)
        panels = {score: panels[score]}
    rows = [row for row in (_of(panels, SCORES), _of(panels, ABLATIONS)) if row]
    figure = _canvas(rows, result.scores.shape[1])
    changes = [panel.values.abs().max().item() for panel in panels.values() if panel.signed]
    for row, row_panels in enumerate(rows, 1):
        for col, panel in _columns(rows, row_panels):
            trace = _trace(panel, max(changes, default=1.0), first=col == 1)
            _place_bar(figure, trace, row)
            figure.add_trace(trace, row=row, col=col)
            _label(figure, panel, result.layers, row, col)
    return figure


def _of(panels: dict[str, Panel], names: Sequence[str]) -> list[Panel]:
    return [panels[name] for name in names if name in panels]


def _columns(rows: list[list[Panel]], panels: list[Panel]) -> list[tuple[int, Panel]]:
    """The subplot column of each panel of a row; fewer panels are wider."""
    step = max(map(len, rows)) // len(panels)
    return [(1 + i * step, panel) for i, panel in enumerate(panels)]


def _canvas(rows: list[list[Panel]], layers: int) -> go.Figure:
    columns = max(map(len, rows))
    specs = [
        [
            {"colspan": columns // len(row)} if i % (columns // len(row)) == 0 else None
            for i in range(columns)
        ]
        for row in rows
    ]
    figure = make_subplots(
        rows=len(rows),
        cols=columns,
        specs=specs,
        subplot_titles=[panel.title for row in rows for panel in row],
        horizontal_spacing=0.05,
        vertical_spacing=0.26 if len(rows) > 1 else 0,
    )
    theme.style(figure, height=len(rows) * max(250, 28 * layers + 160))
    figure.update_annotations(font_size=13)
    return figure.update_layout(margin={"t": 48, "r": 90})


def _label(figure: go.Figure, panel: Panel, layers: Sequence[int], row: int, col: int) -> None:
    heads = range(panel.values.shape[1])
    names = (list(map(str, numbers)) for numbers in (heads, layers))
    theme.label_grid(figure, *names, row=row, col=col)
    figure.update_xaxes(title_text="head", row=row, col=col)
    figure.update_yaxes(title_text="layer" if col == 1 else "", row=row, col=col)


def _place_bar(figure: go.Figure, trace: go.Heatmap, row: int) -> None:
    low, high = figure.get_subplot(row, 1).yaxis.domain
    trace.colorbar.update(x=1.01, y=(low + high) / 2, len=high - low, thickness=10)


def _panels(result: Heads) -> dict[str, Panel]:
    panels = {}
    layers, heads = (range(size) for size in result.scores.shape[1:3])
    for i, score in enumerate(SCORES):
        best = result.untrained_best[i]
        words = [[_score_words(result, i, layer, head) for head in heads] for layer in layers]
        title = TITLES[score] + (f"<br>untrained at most {best:.2f}" if best == best else "")
        panels[score] = Panel(
            title=title, values=result.scores[i, :, :, 0], words=words, signed=False
        )
    for name, where, bounds in zip(ABLATIONS, result.ablated_on, result.ablation, strict=False):
        words = [
            [
                _change_words(where, f"{result.layers[layer]}.{head}", bounds[layer, head].tolist())
                for head in heads
            ]
            for layer in layers
        ]
        title = f"loss change without the head<br>({result.kind}-ablated), {where}"
        panels[name] = Panel(title=title, values=bounds[:, :, 0], words=words, signed=True)
    return panels


def _trace(panel: Panel, largest_change: float, first: bool) -> go.Heatmap:
    trace = theme.heatmap_trace(
        panel.values,
        x_title="head",
        y_title="layer",
        unit="loss change (nats/token)" if panel.signed else "attention weight",
        diverging=panel.signed,
        low=-largest_change if panel.signed else 0.0,
        high=largest_change if panel.signed else 1.0,
        colorbar=first,
    )
    trace.update(customdata=panel.words, hovertemplate="%{customdata}<extra></extra>")
    if panel.values.numel() <= MOST_NUMBERS:
        trace.update(texttemplate="%{z:.2f}", textfont={"size": 11})
    return trace


def _score_words(result: Heads, score: int, layer: int, head: int) -> str:
    value, low, high = result.scores[score, layer, head].tolist()
    twins = result.untrained[:, score, layer, head]
    control = (
        f"untrained: {twins.mean():.3f} (mean of {len(twins)}), "
        f"best of any head {result.untrained_best[score]:.3f}"
        if len(twins)
        else "no untrained control"
    )
    return (
        f"head {result.layers[layer]}.{head}<br>"
        f"{SCORES[score]} {value:.3f} [{low:.3f}, {high:.3f}]<br>{control}"
    )


def _change_words(where: str, name: str, bounds: list[float]) -> str:
    value, low, high = bounds
    return (
        f"head {name}<br>loss change on {where}"
        f"<br>{value:+.4f} [{low:+.4f}, {high:+.4f}] nats per token"
    )
