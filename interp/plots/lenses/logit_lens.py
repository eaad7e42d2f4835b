"""The lens as a grid: layers run down, tokens run across; a word through the layers; the controls.

`cell_values` and `UNITS` are the colours of the grid for whoever else draws it.
"""

from typing import Literal, get_args

import plotly.graph_objects as go
from jaxtyping import Float
from plotly.subplots import make_subplots
from torch import Tensor

from interp.analyses.lenses.logit_lens import LogitLens
from interp.core.display import percent
from interp.core.errors import ConfigError
from interp.core.statistics.intervals import Interval
from interp.plots import theme

PIXELS_A_LETTER = 6.2
Metric = Literal["probability", "entropy", "kl", "answer_rank", "target", "rank"]
View = Literal["grid", "word", "distance"]
UNITS = {
    "probability": "top probability",
    "entropy": "entropy (bits)",
    "kl": "KL to final (nats)",
    "answer_rank": "log10(1 + rank) of final answer",
    "target": "log p({}) (nats)",
    "rank": "log10(1 + rank) of {}",
}


def figure(
    result: LogitLens,
    *,
    view: View = "grid",
    metric: Metric = "probability",
    target: int = 0,
    pos: int = -1,
    controls: bool = True,
) -> go.Figure:
    """Each cell shows the best token of a layer at a position; hover shows all candidates.

    Args:
        result: of `interp.logit_lens`.
        view: `grid`; `word`, a followed token's probability and rank by layer at one position; or
            `distance`, the KL of each layer to the answer with its controls.
        metric: what colours the cells of the grid; `target` and `rank` need a followed token.
        target: number of the followed token.
        pos: the position of the view `word`; the last one by default.
        controls: draw the mean KL of each row, and of its controls, beside the grid.
    Raises:
        ConfigError: an unknown view or metric, no such target or position.
    """
    theme.check_choice("view", view, get_args(View))
    if view == "word":
        return _word(result, target, pos)
    if view == "distance":
        return _distance(result)
    return _grid(result, metric, target, controls)


def cell_values(result: LogitLens, metric: Metric, target: int = 0) -> Float[Tensor, "layer pos"]:
    """The numbers that colour the cells, in the metric's unit.

    Raises:
        ConfigError: an unknown metric, or no such target.
    """
    theme.check_choice("metric", metric, UNITS)
    if metric in ("target", "rank"):
        _check_target(result, f"metric={metric!r} colours by", target)
    if metric == "target":
        return result.log_probs[:, :, target]
    if metric == "rank":
        return (1.0 + result.ranks[:, :, target]).log10()
    return {
        "probability": result.top_log_probs[:, :, 0].exp(),
        "entropy": result.entropy_bits,
        "kl": result.kl_nats,
        "answer_rank": (1.0 + result.answer_ranks).log10(),
    }[metric]


def _check_target(result: LogitLens, asks: str, target: int) -> None:
    if not 0 <= target < len(result.targets):
        raise ConfigError(
            f"{asks} a followed token; got target = {target} of {len(result.targets)}. "
            "Call logit_lens(..., targets=[...])."
        )


def _grid(result: LogitLens, metric: Metric, target: int, controls: bool) -> go.Figure:
    values = cell_values(result, metric, target)
    followed = theme.label(result.targets[target]) if metric in ("target", "rank") else ""
    figure = make_subplots(
        cols=2 if controls else 1,
        column_widths=[0.74, 0.26] if controls else [1.0],
        horizontal_spacing=0.16,
    )
    rows = result.row_names
    theme.style(figure, height=max(340, 32 * len(rows) + 200))
    grid = theme.heatmap_trace(
        values,
        x=result.tokens,
        y=rows,
        x_title="token",
        y_title="layer",
        unit=UNITS[metric].format(followed),
        text=_cells(result, 600 if controls else 860),
    )
    words = [
        [_words(result, row, pos) for pos in range(len(result.tokens))] for row in range(len(rows))
    ]
    grid.update(customdata=words, hovertemplate="%{customdata}<extra></extra>")
    grid.colorbar.update(x=0.665 if controls else 1.0, xpad=4)
    figure.add_trace(grid, row=1, col=1)
    theme.label_grid(figure, result.tokens, rows, row=1, col=1)
    figure.update_xaxes(title_text="token read (the cell predicts the next)", row=1, col=1)
    figure.update_yaxes(title={"text": "layer", "standoff": 18}, row=1, col=1)
    if controls:
        _add_controls(figure, result)
    return figure


def _cells(result: LogitLens, pixels: int) -> list[list[str]] | None:
    """The best token of each cell, shortened to its width; none where three letters do not fit."""
    letters = int(pixels / len(result.tokens) / PIXELS_A_LETTER)
    if letters < 3:
        return None
    return [[_cut(best[0], letters) for best in row] for row in result.top_tokens]


def _cut(token: str, letters: int) -> str:
    return token if len(token) <= letters else f"{token[: letters - 1]}…"


def _words(result: LogitLens, row: int, pos: int) -> str:
    """What stands under the pointer, in words and numbers."""
    probabilities = result.top_log_probs[row, pos].exp().tolist()
    best = zip(result.top_tokens[row][pos], probabilities, strict=True)
    lines = [
        f"{result.row_names[row]}, position {pos}: after {theme.label(result.tokens[pos])}",
        *(
            f"{place + 1}. {theme.label(token)}  {percent(p, 1)}"
            for place, (token, p) in enumerate(best)
        ),
        f"entropy {result.entropy_bits[row, pos]:.2f} bits, "
        f"KL to final {result.kl_nats[row, pos]:.3f} nats",
    ]
    for i, name in enumerate(result.targets):
        lines.append(
            f"{theme.label(name)}: rank {result.ranks[row, pos, i]}, "
            f"log-probability {result.log_probs[row, pos, i]:.2f} nats"
        )
    return "<br>".join(lines)


def _add_controls(figure: go.Figure, result: LogitLens) -> None:
    """Mean KL a row as points with whiskers, on the grid's own rows."""
    for name, intervals, color, symbol in _distances(result):
        if intervals:
            figure.add_trace(
                _points(name, intervals, result.row_names, color, symbol), row=1, col=2
            )
    theme.label_axis(figure, result.row_names, axis="y", down=True, row=1, col=2)
    figure.update_yaxes(showticklabels=False, matches="y", row=1, col=2)
    figure.update_xaxes(title_text="KL to final (nats)", rangemode="tozero", row=1, col=2)
    figure.update_layout(legend={"x": 1.0, "xanchor": "right"})


def _distances(result: LogitLens) -> tuple[tuple[str, tuple[Interval, ...], str, str], ...]:
    """This model's KL a row and its controls', each with its name, colour and sign."""
    return (
        ("this model", result.kl, theme.CATEGORICAL[0], "circle"),
        ("another position", result.kl_other, theme.CATEGORICAL[1], "square-open"),
        ("untrained model", result.kl_untrained, theme.CONTROL, "diamond-open"),
    )


def _points(
    name: str, intervals: tuple[Interval, ...], rows: tuple[str, ...], color: str, symbol: str
) -> go.Scatter:
    return go.Scatter(
        x=[interval.value for interval in intervals],
        y=list(rows),
        error_x=theme.whiskers(intervals, color, thickness=1.2, width=None),
        mode="markers+lines",
        name=name,
        line={"width": 1, "color": color},
        marker={"color": color, "symbol": symbol, "size": 7},
        hovertemplate=f"{name}<br>%{{y}}: %{{x:.3f}} nats<extra></extra>",
    )


def _distance(result: LogitLens) -> go.Figure:
    """Mean KL to the answer, layer by layer, with its controls."""
    figure = theme.new_figure(x_title="layer", y_title="KL to final (nats)")
    for name, intervals, color, _ in _distances(result):
        if not intervals:
            continue
        add = theme.add_control if color == theme.CONTROL else theme.add_line
        paint = {} if color == theme.CONTROL else {"color": theme.CATEGORICAL.index(color)}
        add(figure, range(len(intervals)), **theme.curve(intervals), name=name, **paint)
    figure.update_xaxes(**theme.named_ticks(result.row_names))
    return figure.update_yaxes(rangemode="tozero")


def _word(result: LogitLens, target: int, pos: int) -> go.Figure:
    """A followed token's probability and rank at one position, layer by layer."""
    _check_target(result, "view='word' draws", target)
    count = len(result.tokens)
    if not -count <= pos < count:
        raise ConfigError(f"view='word' needs one of {count} positions; got pos = {pos}.")
    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.08)
    theme.style(figure, height=420)
    _add_word(figure, result.log_probs[:, :, target].exp(), result.targets[target], pos, row=1)
    _add_word(figure, 1.0 + result.ranks[:, :, target], result.targets[target], pos, row=2)
    names = theme.named_ticks(result.row_names)
    figure.update_xaxes(title_text="layer", **names, row=2, col=1)
    figure.update_xaxes(**names, showticklabels=False, row=1, col=1)
    figure.update_yaxes(title_text="probability", rangemode="tozero", row=1, col=1)
    ranks = {"type": "log", "autorange": "reversed", "dtick": 1}
    return figure.update_yaxes(title_text="1 + rank", **ranks, row=2, col=1)


def _add_word(
    figure: go.Figure, values: Float[Tensor, "layer pos"], name: str, pos: int, row: int
) -> None:
    """The line of one position; the control is the median of all others."""
    places, place = range(len(values)), {"row": row, "col": 1}
    theme.add_line(figure, places, values[:, pos], name=name, legend=row == 1, **place)
    others = [at for at in range(values.shape[1]) if at != pos % values.shape[1]]
    if others:
        median = values[:, others].float().median(-1).values
        theme.add_control(figure, places, median, name="median of the other positions", **place)
        figure.data[-1].showlegend = row == 1
