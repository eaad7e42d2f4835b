"""Everything that was measured over training: a panel a measure, step on a log axis."""

import math
from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.analyses.learning.checkpoint_metrics import CheckpointMetrics
from interp.core.errors import ConfigError, near_misses
from interp.plots import theme
from interp.plots.step_axis import positions, step_axis

COLUMNS, PANEL = 2, 270
MOST_NAMED = 7
LOG = ("distance",)


def figure(
    result: CheckpointMetrics, measures: Sequence[str] = (), columns: int = COLUMNS
) -> go.Figure:
    """A panel a measure, with intervals, controls and a fresh model.

    Args:
        result: of `checkpoint_metrics`.
        measures: to draw; none = all.
        columns: panels side by side.
    Raises:
        ConfigError: a measure that was not measured.
    """
    there = list(dict.fromkeys(result.measures))
    for name in measures:
        if name not in there:
            raise ConfigError(f"{name!r} was not measured.{near_misses(name, there)}")
    chosen = [name for name in there if not measures or name in measures]
    columns = min(columns, len(chosen))
    rows = math.ceil(len(chosen) / columns)
    titles = [result.titles[result.measures.index(name)] for name in chosen]
    figure = make_subplots(
        rows=rows, cols=columns, subplot_titles=titles, vertical_spacing=0.32 / max(rows, 2),
        horizontal_spacing=0.1,
    )  # fmt: skip
    theme.style(figure, height=PANEL * rows + 60)
    figure.update_annotations(yshift=14)  # room for the names of the curves below a title
    figure.update_layout(margin_t=56)
    for place, name in enumerate(chosen):
        where = {"row": place // columns + 1, "col": place % columns + 1}
        _panel(figure, result, name, where)
    figure.update_layout(showlegend=False, hovermode="closest")
    return figure.update_xaxes(title_text="step", row=rows)


def _panel(
    figure: go.Figure, result: CheckpointMetrics, measure: str, where: dict[str, int]
) -> None:
    """The curves of one measure; their names stand at their ends where they are few."""
    members = [i for i, each in enumerate(result.measures) if each == measure]
    x, many = positions(result.steps), len(members) > MOST_NAMED
    for place, i in enumerate(members):
        value, low, high = result.values[i].T
        name = result.curves[i].partition(": ")[2] or measure
        known = not bool(low.isnan().all()) and not many
        theme.add_line(
            figure, x, value, name=name, color=_family(name) if many else place,
            low=low if known else None, high=high if known else None, legend=False,
            words=[f"step {step:,}" for step in result.steps], markers=not many, **where,
        )  # fmt: skip
        figure.data[-1].line.width = 1.2 if many else 2
        figure.data[-1].hovertemplate = (
            f"{theme.label(name, 60)}<br>%{{text}}<br>{theme.label(result.units[i], 60)}: "
            "%{y:.4~g}<extra></extra>"
        )
        if not many:
            _beside(figure, result, i, where)
    if not many and len(members) > 1:
        _names(figure, result, members, where)
    step_axis(figure, result.steps, **where)
    kind = {"type": "log"} if measure in LOG else {}
    figure.update_yaxes(title_text=result.units[members[0]], **kind, **where)


def _beside(figure: go.Figure, result: CheckpointMetrics, i: int, where: dict[str, int]) -> None:
    """The control's line, and the level of a fresh model."""
    x = positions(result.steps)
    if result.control_names[i]:
        name = f"{result.control_names[i]} ({result.curves[i]})"
        theme.add_control(figure, x, result.controls[i], name=name, **where)
        figure.data[-1].line.width = 1.2
    fresh = float(result.untrained[i])
    if not math.isnan(fresh):
        name = f"fresh model ({result.curves[i]})"
        theme.add_control(figure, x[[0, -1]], [fresh] * 2, name=name, dash="dot", **where)
        figure.data[-1].line.width = 1
    for line in figure.data[-2:]:
        line.showlegend = False


def _names(
    figure: go.Figure, result: CheckpointMetrics, members: list[int], where: dict[str, int]
) -> None:
    """A line of coloured names below a panel's title."""
    words = [
        f'<span style="color:{theme.paint(n)}">'
        f"{theme.label(result.curves[i].partition(': ')[2])}</span>"
        for n, i in enumerate(members)
    ]
    figure.add_annotation(
        text=" · ".join(words), x=0, y=1, xref="x domain", yref="y domain", xanchor="left",
        yanchor="bottom", showarrow=False, font={"size": 11}, **where,
    )  # fmt: skip


def _family(name: str) -> int:
    """The colour of a matrix: the same for all layers."""
    families = ("W_E", "W_Q", "W_K", "W_V", "W_O", "W_in", "W_out")
    kind = name.partition(" ")[0]
    return families.index(kind) if kind in families else len(families) - 1
