"""Attention patterns: a grid of all heads (layers run down, heads run across), or one head."""

from typing import Literal

import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots
from torch import Tensor

from interp.analyses.attention import SUMMARIES, Attention
from interp.errors import ConfigError
from interp.plots import theme

View = Literal["attention", "written"]
UNITS = {"attention": "attention weight", "written": "share of what the head writes"}
MOST_PANELS = 48
MOST_NAMED = 24


def figure(
    result: Attention,
    *,
    layer: int | None = None,
    head: int | None = None,
    view: View = "attention",
) -> go.Figure:
    """Query tokens run down, key tokens run across; the future is blank.

    Args:
        result: of `interp.attention`.
        layer: one layer only; with `head`, one head large.
        head: of that layer.
        view: `attention` weights, or `written`: times the norm of what the head writes, |v W_O|.
    Raises:
        ConfigError: an unknown view, layer or head, or too many heads for one figure.
    """
    if view not in UNITS:
        raise ConfigError(f"view is one of {', '.join(UNITS)}; {view!r} came.")
    values = result.pattern if view == "attention" else result.written_share
    future = torch.ones(values.shape[-2:]).triu(1).bool()
    values = values.masked_fill(future, torch.nan)
    layers, heads = _chosen(layer, len(values), "layer"), _chosen(head, values.shape[1], "head")
    if len(layers) * len(heads) > MOST_PANELS:
        raise ConfigError(
            f"{len(layers)} x {len(heads)} heads are too many for one figure (at most "
            f"{MOST_PANELS}); give layer=0 … {len(values) - 1}."
        )
    if len(layers) == len(heads) == 1:
        return _single(result, values[layers[0], heads[0]], layers[0], heads[0], UNITS[view])
    return _grid(result, values, layers, heads, UNITS[view])


def _chosen(number: int | None, count: int, what: str) -> list[int]:
    if number is None:
        return list(range(count))
    if not 0 <= number < count:
        raise ConfigError(f"{what} must be 0 … {count - 1}; {number} came.")
    return [number]


def _single(result: Attention, values: Tensor, layer: int, head: int, unit: str) -> go.Figure:
    drawn = theme.new_figure(
        x_title="key token (looked at)",
        y_title="query token",
        height=min(860, 170 + 24 * len(values)),
    )
    drawn.add_trace(_trace(result, values, layer, head, unit, colorbar=True))
    theme.label_axis(drawn, result.tokens, axis="x")
    theme.label_axis(drawn, result.tokens, axis="y", down=True)
    return drawn.update_layout(title_text=_about(result, layer, head))


def _grid(
    result: Attention, values: Tensor, layers: list[int], heads: list[int], unit: str
) -> go.Figure:
    drawn = make_subplots(
        rows=len(layers),
        cols=len(heads),
        horizontal_spacing=0.02,
        vertical_spacing=0.08 / len(layers),
        column_titles=[f"head {head}" for head in heads],
    )
    named = len(result.tokens) <= MOST_NAMED
    theme.style(drawn, height=min(1400, 140 + max(190, 13 * len(result.tokens)) * len(layers)))
    for row, layer in enumerate(layers, 1):
        for col, head in enumerate(heads, 1):
            last = row == col == 1
            trace = _trace(result, values[layer, head], layer, head, unit, colorbar=last)
            drawn.add_trace(trace, row=row, col=col)
            drawn.update_yaxes(
                title_text=f"layer {layer}: query" if col == 1 else "", row=row, col=col
            )
    theme.label_axis(drawn, result.tokens, axis="x")
    theme.label_axis(drawn, result.tokens, axis="y", down=True)
    drawn.update_xaxes(showticklabels=False, ticks="", tickangle=-60, tickfont_size=10)
    drawn.update_yaxes(showticklabels=False, ticks="", tickfont_size=10)
    drawn.update_xaxes(title={"text": "key (looked at)", "standoff": 6}, row=len(layers))
    if named:
        drawn.update_xaxes(showticklabels=True, row=len(layers))
        drawn.update_yaxes(showticklabels=True, col=1)
    return drawn.update_layout(margin={"t": 50})


def _trace(
    result: Attention, values: Tensor, layer: int, head: int, unit: str, colorbar: bool
) -> go.Heatmap:
    trace = theme.heatmap_trace(
        values,
        x=result.tokens,
        y=result.tokens,
        x_title="key",
        y_title="query",
        unit=unit,
        low=0.0,
        high=1.0,
        colorbar=colorbar,
    )
    return trace.update(
        xgap=0,
        ygap=0,
        hovertemplate=f"head {layer}.{head}<br>query %{{y}}<br>looks at %{{x}}"
        f"<br>{unit} %{{z:.3f}}<extra></extra>",
    )


def _about(result: Attention, layer: int, head: int) -> str:
    """The head's summary beside the untrained range."""
    parts = []
    for i, name in enumerate(SUMMARIES[:3]):
        twins = result.untrained[:, i, layer, head]
        beside = f" (untrained {twins.mean():.2f})" if len(twins) else ""
        parts.append(f"{name.replace('_', ' ')} {result.summary[i, layer, head]:.2f}{beside}")
    return f"head {layer}.{head}: {', '.join(parts)}"
