"""Dials: the next token before and after, the way of each dial, and what counts most."""

from typing import TYPE_CHECKING, Literal

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.core.display import percent
from interp.plots import theme
from interp.plots.row_bars import name_bars, probability_bars, row_bars

if TYPE_CHECKING:
    from interp.analyses.interventions.component_scaling import ComponentScaling

MOST_LINES = 5
View = Literal["candidates", "sweep", "pulls"]


def figure(result: "ComponentScaling", *, view: View = "candidates") -> go.Figure:
    """Draw what turning dials does.

    Args:
        result: of `interp.component_scaling`.
        view: `candidates` before and after; the `sweep` of each dial; or the `pulls` of the parts
            that count most.
    Raises:
        ConfigError: an unknown view.
    """
    views = {"candidates": _candidates, "sweep": _sweep, "pulls": _pulls}
    theme.check_choice("view", view, views)
    return views[view](result)


def _candidates(result: "ComponentScaling") -> go.Figure:
    names = [theme.label(name) for name in result.candidates]
    series = [("before", result.before, theme.CONTROL)]
    series += [("scaled", result.after, theme.CATEGORICAL[0])] if result.turns else []
    return probability_bars(names, series, lambda x: percent(x, 1) if x >= 5e-4 else None)


def _sweep(result: "ComponentScaling") -> go.Figure:
    """A panel a dial: probabilities along its way; where it stands, and where it stood."""
    count = len(result.swept_dials)
    columns = min(count, 3)
    rows = -(-count // columns)
    titles = [theme.label(name, 40) for name in result.swept_dials]
    figure = make_subplots(rows=rows, cols=columns, subplot_titles=titles, shared_yaxes=True)
    theme.style(figure, height=300 * rows + 70)
    # The most probable somewhere on the way, the rest would only be a floor of lines.
    best = result.probabilities.amax((0, 1)).topk(min(MOST_LINES, len(result.candidates))).indices
    uprights: list[dict] = []
    for i in range(count):
        place = {"row": i // columns + 1, "col": i % columns + 1}
        for colour, c in enumerate(sorted(best.tolist())):
            style = {"name": result.candidates[c], "color": colour, "legend": i == 0}
            curve = result.probabilities[i, :, c]
            theme.add_line(figure, result.values[i], curve, markers=False, **style, **place)
        uprights += [
            _upright(result.original_values[i], i, "dot"),
            _upright(result.current_values[i], i, "solid"),
        ]
        figure.update_xaxes(title_text=f"{result.units[i]} of the component", **place)
    figure.update_yaxes(range=[-0.02, 1.02], tickformat=".0%")
    figure.update_yaxes(title_text="probability", col=1)
    return figure.update_layout(margin={"t": 92}, legend={"y": 1 + 0.16 / rows}, shapes=uprights)


def _upright(x: float, panel: int, dash: str) -> dict:
    """A line from the bottom of a panel to its top; plotly's own `add_vline` is slow on panels."""
    axis = panel + 1 if panel else ""
    line = {"color": theme.MUTED, "width": 1.2, "dash": dash}
    ends = {"x0": x, "x1": x, "xref": f"x{axis}", "y0": 0, "y1": 1, "yref": f"y{axis} domain"}
    return {"type": "line", "line": line, **ends}


def _pulls(result: "ComponentScaling") -> go.Figure:
    """Bars about zero; above it, more of the part makes the answer more probable."""
    names = [theme.label(name, 32) for name in result.suggested]
    figure = theme.new_figure(
        x_title=f"pull on the lead of {theme.label(repr(result.answer))} (nats a factor)",
        height=110 + 28 * len(names),
    )
    pulls = list(result.pulls)
    bars = row_bars(names, pulls, "pull", theme.CATEGORICAL[0], "{:+.3g}".format, "%{x:+.4~g}")
    figure.add_trace(bars)
    most = max(map(abs, pulls), default=0.0) or 1.0
    low = -1.3 * most if min(pulls, default=0.0) < 0 else 0.0
    figure.update_xaxes(range=[low, 1.3 * most])
    return name_bars(figure, names).update_layout(showlegend=False)
