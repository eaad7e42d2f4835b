"""Bars that lie: a name a row, the first on top."""

from collections.abc import Callable, Sequence

import plotly.graph_objects as go
from torch import Tensor

from interp.plots import theme


def signed_bars(names: Sequence[str], values: Tensor, *, unit: str, title: str = "") -> go.Figure:
    """A bar a name, blue below zero and orange above.

    Args:
        names: raw text, one a row.
        values: a number a name.
        unit: what the bars say, with the unit.
        title: of the figure.
    """
    figure = theme.new_figure(x_title=unit, title=title, height=120 + 22 * len(names))
    figure.add_trace(
        go.Bar(
            x=values.tolist(),
            y=[theme.label(name, 40) for name in names],
            orientation="h",
            marker={"color": [theme.paint(int(value > 0)) for value in values]},
            hovertemplate="%{y}: %{x:+.4~g}<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False)
    return figure.update_layout(margin_l=150)


def probability_bars(
    names: Sequence[str],
    series: Sequence[tuple[str, Tensor, str]],
    write: Callable[[float], str | None],
    title: str = "",
) -> go.Figure:
    """Probabilities of some candidates before and after, bars of one candidate side by side.

    Args:
        names: of the candidates, escaped.
        series: name, probabilities and colour of each.
        write: what stands at the end of a bar.
        title: of the figure.
    """
    figure = theme.new_figure(x_title="probability", height=120 + 38 * len(names), title=title)
    for name, values, colour in series:
        figure.add_trace(row_bars(names, values.tolist(), name, colour, write))
    figure.update_xaxes(range=[0, 1.12], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
    return name_bars(figure, names)


def row_bars(
    names: Sequence[str],
    values: Sequence[float],
    name: str,
    color: str,
    write: Callable[[float], str | None],
    hover: str = "%{x:.3~%}",
) -> go.Bar:
    """A bar a name, with its number at its end.

    Args:
        names: one a row, escaped.
        values: a number a name.
        name: of them all, for legend and hover.
        color: of the bars.
        write: what stands at the end of a bar.
        hover: plotly's format of the number under the pointer.
    """
    return go.Bar(
        y=list(range(len(names))),
        x=values,
        orientation="h",
        name=name,
        marker={"color": color},
        text=[write(value) for value in values],
        textposition="outside",
        textfont={"size": 11},
        cliponaxis=False,
        customdata=names,
        hovertemplate=f"%{{customdata}}<br>{name}: {hover}<extra></extra>",
    )


def name_bars(figure: go.Figure, names: Sequence[str]) -> go.Figure:
    """Name the rows of grouped bars, the first on top.

    Args:
        figure: whose bars lie at 0, 1, 2 ….
        names: one a row, escaped.
    """
    figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=names, autorange="reversed", showgrid=False
    )
    return figure.update_layout(bargap=0.25, barmode="group")
