"""One look for every figure, and the few shapes that instruments draw: grids, lines with intervals,
controls and bars.

Layers run down and heads run across, everywhere. Every colour bar and axis names its unit. Hover
tells what is under the pointer in words. Token text is given raw and escaped here: plotly reads
`<b>` in any label as markup. Colours are Okabe and Ito's, the maps viridis and, for signed numbers
only, blue-white-red about 0: all safe for colour-blind readers.
"""

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from torch import Tensor

from interp.core.errors import ConfigError
from interp.core.statistics.intervals import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

INK, MUTED, GRID, PAPER = "#1f2328", "#59636e", "#e4e7eb", "#ffffff"
CONTROL = "#848d97"
CATEGORICAL = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6f4e37")
DARK = {
    INK: "#e6edf3",
    MUTED: "#9aa4af",
    GRID: "#30363d",
    PAPER: "#12161c",
    "#0072b2": "#4aa3e0",
    "#d55e00": "#f0762b",
    "#009e73": "#2bc196",
    "#6f4e37": "#c49a6c",
}
"""What each colour of a figure becomes on a dark page."""
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
SEQUENTIAL = "Viridis"
DIVERGING = ["#2166ac", "#67a9cf", "#d1e5f0", "#f7f7f7", "#fddbc7", "#ef8a62", "#b2182b"]
FONT = "Inter, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
MONO = "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace"
CONFIG = {
    "responsive": True,
    "displaylogo": False,
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "topojsonURL": "",
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
}
"""For plotly.js wherever it draws: by default it offers to upload every chart to its maker."""
LONGEST_LABEL = 16
MOST_TICKS = 48
LONGEST_TITLE = 42
"""Letters of an axis title that a phone has room for in one line."""
AXIS = {
    "showline": True,
    "linecolor": MUTED,
    "gridcolor": GRID,
    "zerolinecolor": GRID,
    "ticks": "outside",
    "tickcolor": MUTED,
    "ticklen": 4,
    "automargin": True,
    "title": {"font": {"size": 13}},
}


def label(text: str, longest: int = LONGEST_LABEL) -> str:
    """Text as plotly shows it letter by letter: shortened, no markup, no formulas."""
    text = text if len(text) <= longest else f"{text[: longest - 1]}…"
    for letter, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("$", "&#36;")):
        text = text.replace(letter, entity)
    return text


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Refuse what a figure does not offer.

    Args:
        name: of the figure's option.
        value: that was given for it.
        choices: all that could be given.
    Raises:
        ConfigError: the value is none of the choices, which are named.
    """
    if value not in (known := list(choices)):
        names = ", ".join(filter(None, known)) or "none"
        raise ConfigError(f"{name} needs to be one of {names}; got {value!r}.")


def in_lines(title: str) -> str:
    """An axis title in lines that a phone does not cut.

    Example:
        >>> in_lines("share of questions answered with the new value")
        'share of questions answered<br>with the new value'
    """
    count = -(-len(title) // LONGEST_TITLE)
    # Of about the same length, so that no word stands alone in the last one.
    width = LONGEST_TITLE if count < 2 else min(LONGEST_TITLE, len(title) // count + 6)
    return "<br>".join(textwrap.wrap(title, width, break_long_words=False))


def new_figure(
    *, x_title: str = "", y_title: str = "", title: str = "", height: int = 380
) -> go.Figure:
    """An empty figure in the house style; units belong in the axis titles."""
    axes = {"xaxis": {"title": {"text": in_lines(x_title)}}, "yaxis": {"title": {"text": y_title}}}
    return style(go.Figure(layout=axes), title=title, height=height)


def style(figure: go.Figure, *, title: str = "", height: int | None = None) -> go.Figure:
    """The house style on any figure, subplots too. Nothing else about it changes."""
    # The layout is set as a whole: plotly takes several times longer for many small updates.
    layout = figure.layout.to_plotly_json()
    names = [name for name in ("xaxis", "yaxis", *layout) if name.startswith(("xaxis", "yaxis"))]
    axes = {name: _house_axis(layout.get(name, {})) for name in names}
    tall = {} if height is None else {"height": height}
    notes = [_of_size(note, 13) for note in layout.get("annotations", ())]
    figure.layout = {**layout, **_house_layout(title), **axes, **tall, "annotations": notes}
    return figure


def _house_layout(title: str) -> dict[str, Any]:
    return {
        "template": {},
        "font": {"family": FONT, "size": 13, "color": INK},
        "title": {"text": title, "x": 0, "xref": "container", "xanchor": "left", "pad": {"l": 12}},
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "colorway": list(CATEGORICAL),
        "margin": {"l": 64, "r": 24, "t": 56 if title else 16, "b": 56},
        "hoverlabel": {"font": {"family": MONO, "size": 12}, "align": "left"},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"},
    }


def _of_size(note: dict[str, Any], size: int) -> dict[str, Any]:
    return {**note, "font": {**note.get("font", {}), "size": size}}


def _house_axis(axis: dict[str, Any]) -> dict[str, Any]:
    return {**axis, **AXIS, "title": {**axis.get("title", {}), **AXIS["title"]}}


def heatmap(
    values: "Tensor | ArrayLike",
    *,
    x: Sequence[str] | None = None,
    y: Sequence[str] | None = None,
    x_title: str,
    y_title: str = "layer",
    unit: str,
    title: str = "",
    text: Sequence[Sequence[str]] | None = None,
    diverging: bool = False,
    low: float | None = None,
    high: float | None = None,
    height: int | None = None,
) -> go.Figure:
    """A grid of numbers, row 0 on top; axes are labelled by raw (not escaped) text.

    Args:
        values: rows by columns.
        x: one label a column (tokens); column numbers when None (heads).
        y: one label a row; row numbers when None (layers).
        unit: what the colours say, with the unit: `entropy (bits)`.
        text: what to write into the cells.
        diverging: the numbers are signed; colours are centred at 0.
        low: bottom of the colour range.
        high: top of the colour range.
    """
    cells = _numbers(values)
    x, y = _names(x, cells.shape[1]), _names(y, cells.shape[0])
    height = height or int(np.clip(24 * len(cells) + 130, 240, 760))
    figure = new_figure(x_title=x_title, y_title=y_title, title=title, height=height)
    figure.add_trace(
        heatmap_trace(
            cells, x=x, y=y, x_title=x_title, y_title=y_title, unit=unit, text=text,
            diverging=diverging, low=low, high=high,
        )
    )  # fmt: skip
    return label_grid(figure, x, y)


def heatmap_trace(
    values: "Tensor | ArrayLike",
    *,
    x: Sequence[str] | None = None,
    y: Sequence[str] | None = None,
    x_title: str,
    y_title: str,
    unit: str,
    text: Sequence[Sequence[str]] | None = None,
    diverging: bool = False,
    low: float | None = None,
    high: float | None = None,
    colorbar: bool = True,
) -> go.Heatmap:
    """The trace of `heatmap`, for figures of several panels."""
    cells = _numbers(values)
    if diverging:
        bound = max((abs(bound) for bound in (low, high) if bound is not None), default=None)
        bound = float(np.nanmax(np.abs(cells), initial=0.0)) if bound is None else bound
        low, high = -(bound or 1.0), bound or 1.0
    words = "<br>%{text}" if text is not None else ""
    return go.Heatmap(
        z=cells,
        x=_unique(_names(x, cells.shape[1])),
        y=_unique(_names(y, cells.shape[0])),
        zmin=low,
        zmax=high,
        colorscale=DIVERGING if diverging else SEQUENTIAL,
        showscale=colorbar,
        colorbar={
            "title": {"text": label(unit, 60), "side": "right", "font": {"size": 13}},
            "thickness": 12,
            "outlinewidth": 0,
        },
        text=None if text is None else [[label(cell, 12) for cell in row] for row in text],
        texttemplate=None if text is None else "%{text}",
        textfont={"size": 10, "family": MONO},
        hovertemplate=f"{y_title} %{{y}}<br>{x_title} %{{x}}{words}"
        f"<br>{label(unit, 60)}: %{{z:.4~g}}<extra></extra>",
        xgap=1 if cells.shape[-1] <= 64 else 0,
        ygap=1 if cells.shape[0] <= 64 else 0,
        hoverongaps=False,
    )


def label_axis(
    figure: go.Figure,
    labels: Sequence[str],
    *,
    axis: str = "x",
    down: bool = False,
    **place: int,
) -> go.Figure:
    """Name the columns (`axis="x"`) or rows of a grid; where they are many, some and the last.

    Args:
        labels: raw text, one a column or row, for traces whose coordinates are `heatmap_trace`'s.
        down: the first label stands on top.
        place: `row` and `col` of a panel.
    """
    every = -(-len(labels) // MOST_TICKS)
    ticks = [i for i in range(len(labels)) if i % every == 0 and len(labels) - i > every // 2]
    ticks = sorted({*ticks, len(labels) - 1}) if labels else []
    settings: dict[str, Any] = {
        "type": "category",
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": [label(labels[i]) for i in ticks],
        "showgrid": False,
        "autorange": "reversed" if down else True,
    }
    if axis == "x" and sum(min(len(labels[i]), LONGEST_LABEL) + 2 for i in ticks) > 90:
        settings["tickangle"] = -60
    update = figure.update_xaxes if axis == "x" else figure.update_yaxes
    update(**settings, **place)
    return figure


def label_grid(figure: go.Figure, x: Sequence[str], y: Sequence[str], **place: int) -> go.Figure:
    """Name the columns and the rows of a grid, its first row on top.

    Args:
        x: raw text, one a column.
        y: raw text, one a row.
        place: `row` and `col` of a panel.
    """
    label_axis(figure, x, **place)
    return label_axis(figure, y, axis="y", down=True, **place)


def named_ticks(names: Sequence[str]) -> dict[str, Any]:
    """Settings of an axis that name 0, 1, 2 …; the names are escaped already."""
    return {"tickmode": "array", "tickvals": list(range(len(names))), "ticktext": list(names)}


def name_rows(figure: go.Figure, names: Sequence[str]) -> go.Figure:
    """Name rows of marks that lie at 0, 1, 2 …, the first on top; `names` are raw text."""
    named = named_ticks([label(name, 40) for name in names])
    return figure.update_yaxes(**named, range=[len(names) - 0.5, -0.5], zeroline=False)


def curve(intervals: Sequence[Interval]) -> dict[str, list[float]]:
    """`y`, `low` and `high` of a line or of bars."""
    return {
        "y": [interval.value for interval in intervals],
        "low": [interval.low for interval in intervals],
        "high": [interval.high for interval in intervals],
    }


def whiskers(
    intervals: Sequence[Interval], color: str, *, thickness: float = 1.6, width: float | None = 4
) -> dict[str, Any]:
    """Intervals as plotly's `error_x` or `error_y`; of no length where an end is unknown."""
    up = np.array([interval.high - interval.value for interval in intervals])
    down = np.array([interval.value - interval.low for interval in intervals])
    return {
        "type": "data",
        "array": np.nan_to_num(up).tolist(),
        "arrayminus": np.nan_to_num(down).tolist(),
        "color": color,
        "thickness": thickness,
        "width": width,
    }


def paint(number: int) -> str:
    """The colour of a number in the categorical palette, which begins again at its end."""
    return CATEGORICAL[number % len(CATEGORICAL)]


def add_line(
    figure: go.Figure,
    x: "Tensor | ArrayLike",
    y: "Tensor | ArrayLike",
    *,
    name: str,
    color: int | str = 0,
    low: "Tensor | ArrayLike | None" = None,
    high: "Tensor | ArrayLike | None" = None,
    words: Sequence[str] | None = None,
    markers: bool = True,
    legend: bool = True,
    **place: int,
) -> go.Figure:
    """A line with its interval as a band.

    Args:
        name: raw text for legend and hover; direct labels are better where they fit.
        color: number in the categorical palette (dash and marker go with it), or a colour.
        low: lower ends of the intervals.
        high: upper ends.
        words: raw text a point, shown on hover (tokens).
        place: `row` and `col` of a panel.
    """
    number = color if isinstance(color, int) else 0
    colour = paint(color) if isinstance(color, int) else color
    if low is not None and high is not None:
        add_band(figure, x, low, high, color=colour, name=name, **place)
    word = "<br>%{text}" if words is not None else ""
    line = go.Scatter(
        x=_numbers(x),
        y=_numbers(y),
        name=label(name, 60),
        legendgroup=label(name, 60),
        showlegend=legend,
        mode="lines+markers" if markers else "lines",
        line={"color": colour, "width": 2, "dash": DASHES[number % len(DASHES)]},
        marker={"symbol": SYMBOLS[number % len(SYMBOLS)], "size": 6},
        text=None if words is None else [label(word, 40) for word in words],
        hovertemplate=f"{label(name, 60)}{word}<br>%{{x}}: %{{y:.4~g}}<extra></extra>",
    )
    return figure.add_trace(line, **place)


def add_band(
    figure: go.Figure,
    x: "Tensor | ArrayLike",
    low: "Tensor | ArrayLike",
    high: "Tensor | ArrayLike",
    *,
    color: str = CONTROL,
    name: str = "",
    legend: bool = False,
    **place: int,
) -> go.Figure:
    """A shaded interval between `low` and `high`, no outline; broken where an end is unknown."""
    around, ends = _outline(_numbers(x), _numbers(low), _numbers(high))
    band = go.Scatter(
        x=around,
        y=ends,
        fill="toself",
        fillcolor=_faint(color),
        line={"width": 0},
        mode="lines",
        name=label(name, 60),
        legendgroup=label(name, 60),
        showlegend=legend,
        hoverinfo="skip",
    )
    return figure.add_trace(band, **place)


def add_control(
    figure: go.Figure,
    x: "Tensor | ArrayLike",
    y: "Tensor | ArrayLike",
    *,
    name: str,
    low: "Tensor | ArrayLike | None" = None,
    high: "Tensor | ArrayLike | None" = None,
    dash: str = "dash",
    **place: int,
) -> go.Figure:
    """A control's line, grey and dashed so that it never looks like a finding."""
    add_line(figure, x, y, name=name, color=CONTROL, low=low, high=high, markers=False, **place)
    figure.data[-1].line.dash = dash
    return figure


def add_level(figure: go.Figure, value: float, *, name: str, **place: int) -> go.Figure:
    """A horizontal line at a fixed level (chance, floor), named at its right end."""
    where = {**place, "exclude_empty_subplots": False} if place else {}
    return figure.add_hline(
        y=value,
        line={"color": CONTROL, "width": 1.5, "dash": "dot"},
        annotation={
            "text": label(name, 40),
            "font": {"color": MUTED, "size": 11},
            "xanchor": "right",
            "yanchor": "bottom",
        },
        **where,
    )


def add_bars(
    figure: go.Figure,
    labels: Sequence[str],
    y: "Tensor | ArrayLike",
    *,
    name: str = "",
    color: int | str = 0,
    low: "Tensor | ArrayLike | None" = None,
    high: "Tensor | ArrayLike | None" = None,
    **place: int,
) -> go.Figure:
    """Vertical bars with interval whiskers; `labels` are raw text."""
    heights = _numbers(y)
    ends = None
    if low is not None and high is not None:
        up, down = _numbers(high) - heights, heights - _numbers(low)
        ends = {"type": "data", "array": up, "arrayminus": down, "color": INK, "thickness": 1.2}
    bars = go.Bar(
        x=[label(text, 40) for text in labels],
        y=heights,
        name=label(name, 60),
        showlegend=bool(name),
        marker={"color": paint(color) if isinstance(color, int) else color},
        error_y=ends,
        hovertemplate=f"%{{x}}<br>{label(name, 60)} %{{y:.4~g}}<extra></extra>",
    )
    figure.add_trace(bars, **place)
    return figure.update_xaxes(type="category", showgrid=False, **place)


def _numbers(values: "Tensor | ArrayLike") -> np.ndarray:
    """Single precision: a figure needs no more, and its JSON is half the size."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
    numbers = np.asarray(values)
    return numbers.astype(np.float32) if numbers.dtype.kind == "f" else numbers


def _outline(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Closed outlines of the runs where both ends are known, parted by gaps."""
    known = np.isfinite(low.astype(float)) & np.isfinite(high.astype(float))
    runs = np.split(np.arange(len(x)), 1 + np.flatnonzero(known[1:] != known[:-1]))
    gap = np.array([np.nan], dtype=np.float32)
    around, ends = [], []
    for run in (run for run in runs if len(run) and known[run[0]]):
        around += [gap] * bool(around) + [x[run], x[run][::-1]]
        ends += [gap] * bool(ends) + [high[run], low[run][::-1]]
    return np.concatenate(around or [gap]), np.concatenate(ends or [gap])


def _names(names: Sequence[str] | None, count: int) -> Sequence[str]:
    return list(map(str, range(count))) if names is None else names


def _unique(labels: Sequence[str]) -> list[str]:
    """Coordinates for equal labels that stay apart: plotly merges equal categories."""
    if len(set(labels)) == len(labels):
        return [label(text, 40) for text in labels]
    return [f"{label(text, 40)} · {i}" for i, text in enumerate(labels)]


def _faint(color: str) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"
