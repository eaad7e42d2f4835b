"""What appeared when; each curve with its fit; accuracy beside log-probability."""

import math
from typing import Literal

import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

from interp.analyses.learning.emergence import Emergence
from interp.core.errors import ConfigError
from interp.plots import theme
from interp.plots.step_axis import positions, step_axis

View = Literal["when", "answers", "curves"]
ROW, PANEL = 26, 240


def figure(result: Emergence, view: View = "when") -> go.Figure:
    """The table of what appeared when, as a picture; or the curves behind it.

    Args:
        result: of `emergence`.
        view: `when`: a row a curve; `answers`: accuracy and log-probability side by side;
            `curves`: every curve with its fit.
    Raises:
        ConfigError: another view, or no questions for `answers`.
    """
    if view == "when":
        return _when(result)
    if view == "curves":
        return _curves(result, list(range(len(result.curves))))
    if view == "answers" and result.kinds:
        names = [f"{name}: {kind}" for kind in result.kinds for name in ("accuracy", "log_prob")]
        return _curves(result, [result.curves.index(name) for name in names])
    raise ConfigError(
        f"view needs to be 'when', 'curves' or, with questions, 'answers'; got {view!r}."
    )


def order(result: Emergence) -> list[int]:
    """Curves by when they appeared; those that did so in fewer runs, or none, come last."""
    return sorted(
        range(len(result.curves)),
        key=lambda i: (-result.appeared_in(i), _finite(float(result.typical[i, 0])), i),
    )


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.inf


def _when(result: Emergence) -> go.Figure:
    """Rows from early to late: the span of the change, halfway with its interval, a run each."""
    rows = order(result)
    figure = theme.new_figure(x_title="step", height=ROW * len(rows) + 140)
    for place, i in enumerate(rows):
        for run in range(len(result.runs)):
            shift = (run - (len(result.runs) - 1) / 2) * 0.6 / max(len(result.runs), 1)
            _row(figure, result, run, i, place + shift)
    named = [
        f"{theme.label(result.curves[i], 40)} · {result.appeared_in(i)}/{len(result.runs)}"
        for i in rows
    ]
    figure.update_yaxes(**theme.named_ticks(named), showgrid=False, range=[len(rows) - 0.4, -0.6])
    figure.update_layout(margin_t=64, title_text="", showlegend=True)
    _legend(figure)
    x = positions(result.steps)
    figure.update_xaxes(range=[math.log10(x[0] * 0.9), math.log10(x[-1] * 1.1)])
    return step_axis(figure, result.steps)


def _legend(figure: go.Figure) -> None:
    """What the marks are, in lines that a phone has room for."""
    blue = theme.CATEGORICAL[0]
    marks = (
        ("appeared: halfway, 95 % interval", {"symbol": "circle", "color": blue}),
        ("from onset to end", None),
        ("did not appear, stay, or pass its control", {"symbol": "circle-open"}),
    )
    for name, marker in marks:
        about: dict = {"mode": "lines", "line": {"color": blue, "width": 7}, "opacity": 0.28}
        if marker is not None:
            about = {"mode": "markers", "marker": {"color": theme.CONTROL, "size": 8, **marker}}
        figure.add_trace(go.Scatter(x=[None], y=[None], name=name, **about))


def _row(figure: go.Figure, result: Emergence, run: int, i: int, y: float) -> None:
    verdict = result.verdicts[run][i]
    is_there = verdict == "appeared"
    paint = theme.CATEGORICAL[0] if is_there else theme.CONTROL
    value, low, high = positions(result.when[run, i].tolist())
    text = (
        f"{theme.label(result.curves[i], 60)}, {theme.label(result.runs[run], 40)}: {verdict}"
        f"<br>halfway at step {value - 1:,.0f} [{low - 1:,.0f}, {high - 1:,.0f}], from "
        f"{float(result.onset[run, i]):,.0f} to {float(result.end[run, i]):,.0f}"
        f"<br>change {float(result.change[run, i, 0]):+.3g} {theme.label(result.units[i], 40)}"
    )
    if is_there:
        span = positions([float(result.onset[run, i]), float(result.end[run, i])])
        figure.add_trace(
            go.Scatter(
                x=span, y=[y, y], mode="lines", line={"color": paint, "width": 7}, opacity=0.28,
                hoverinfo="skip", showlegend=False,
            )
        )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=[value], y=[y], mode="markers", showlegend=False, text=[text],
            hovertemplate="%{text}<extra></extra>",
            marker={"color": paint, "size": 8, "symbol": "circle" if is_there else "circle-open"},
            error_x={
                "type": "data", "symmetric": False, "array": [high - value],
                "arrayminus": [value - low], "color": paint, "thickness": 1.4, "width": 3,
            } if is_there else None,
        )
    )  # fmt: skip


def _curves(result: Emergence, chosen: list[int]) -> go.Figure:
    """Two panels a row: dots are the checkpoints, the line is the fit; a colour a run."""
    rows = math.ceil(len(chosen) / 2)
    titles = [theme.label(result.curves[i], 60) for i in chosen]
    figure = make_subplots(
        rows=rows, cols=2, subplot_titles=titles, vertical_spacing=0.3 / max(rows, 2),
    )  # fmt: skip
    theme.style(figure, height=PANEL * rows + 110)
    # The legend stands above the panels' titles, not on them.
    figure.update_layout(margin={"t": 64}, legend={"y": 1 + 24 / (PANEL * rows)})
    x = positions(result.steps)
    for place, i in enumerate(chosen):
        where = {"row": place // 2 + 1, "col": place % 2 + 1}
        for run, name in enumerate(result.runs):
            theme.add_line(
                figure, x, result.values[run, i], name=name, color=run, legend=place == 0, **where
            )
            figure.data[-1].mode = "markers"
            theme.add_line(
                figure, x, result.fitted[run, i], name=name, color=run, markers=False,
                legend=False, **where,
            )  # fmt: skip
        _levels(figure, result, i, where)
        step_axis(figure, result.steps, **where)
        figure.update_yaxes(title_text=result.units[i], **where)
    return figure.update_xaxes(title_text="step", row=rows)


def _levels(figure: go.Figure, result: Emergence, i: int, where: dict[str, int]) -> None:
    """The untrained and the shuffled control, as levels."""
    ends = positions([result.steps[0], result.steps[-1]])
    for name, levels in (("untrained", result.untrained[:, i]), ("shuffled", result.control[:, i])):
        level = float(torch.nanmean(levels))
        if math.isfinite(level):
            dash = "dot" if name == "untrained" else "dash"
            theme.add_control(figure, ends, [level] * 2, name=name, dash=dash, **where)
            figure.data[-1].showlegend = False
