"""Attention patterns: a grid of heads (layers run down, heads run across), one head, one word."""

import math
from collections.abc import Sequence
from typing import Literal, get_args

import plotly.graph_objects as go
import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from jaxtyping import Float
from plotly.subplots import make_subplots
from torch import Tensor

from interp.analyses.attention_heads.attention import MOST_CELLS, SUMMARIES, Attention
from interp.core.errors import ConfigError
from interp.plots import theme

View = Literal["attention", "written"]
Combine = Literal["", "mean", "largest"]
Look = Literal["from", "to"]
UNITS = {"attention": "attention weight", "written": "share of what the head writes"}
MOST_PANELS = 48
MOST_NAMED = 24


def figure(
    result: Attention,
    *,
    layer: int | None = None,
    head: int | None = None,
    view: View = "attention",
    combine: Combine = "",
    word: int | None = None,
    look: Look = "from",
) -> go.Figure:
    """Query tokens run down, key tokens run across; the future is blank.

    Args:
        result: of `interp.attention`.
        layer: one layer only; with `head`, one head large.
        head: of that layer.
        view: `attention` weights, or `written`: times the norm of what the head writes, |v W_O|.
        combine: the `mean` or the `largest` of the heads as one picture, instead of the grid.
        word: only this token, as bars.
        look: what `word` attends to (`from`), or what attends to it (`to`).
    Raises:
        ConfigError: an unknown view, layer, head or word, or too many heads for one figure.
    """
    theme.check_choice("view", view, UNITS)
    theme.check_choice("combine", combine, get_args(Combine))
    theme.check_choice("look", look, get_args(Look))
    values = result.pattern if view == "attention" else result.written_share
    layers, heads = _chosen(layer, len(values), "layer"), _chosen(head, values.shape[1], "head")
    if combine or word is not None:
        picked = rearrange(
            values[layers][:, heads], "layer head query key -> (layer head) query key"
        )
        one = picked.amax(0) if combine == "largest" else picked.mean(0)
        name = _name(layers, heads, values.shape[:2], combine or "mean")
        if word is not None:
            return _bars(result, one, word, look, f"{name}: {UNITS[view]}")
        return _map(result, _past(one), UNITS[view], name)
    values = _past(values)
    if len(layers) * len(heads) > MOST_PANELS:
        raise ConfigError(
            f"{len(layers)} x {len(heads)} heads are too many for one figure (at most "
            f"{MOST_PANELS}); give layer=0 … {len(values) - 1}."
        )
    if len(layers) == len(heads) == 1:
        title = _about(result, layers[0], heads[0])
        return _map(result, values[layers[0], heads[0]], UNITS[view], title)
    return _grid(result, values, layers, heads, UNITS[view])


def _chosen(number: int | None, count: int, what: str) -> list[int]:
    if number is None:
        return list(range(count))
    if not 0 <= number < count:
        raise ConfigError(f"{what} needs to be 0 … {count - 1}; got {number}.")
    return [number]


def _past(values: Float[Tensor, "*some query key"]) -> Float[Tensor, "*some query key"]:
    """The weights without the future, which is blank and not zero."""
    return values.masked_fill(torch.ones(values.shape[-2:]).triu(1).bool(), torch.nan)


def _name(layers: list[int], heads: list[int], of: Sequence[int], combine: str) -> str:
    """`head 1.2`, or which heads became one."""
    if len(layers) == len(heads) == 1:
        return f"head {layers[0]}.{heads[0]}"
    which = "all heads" if len(heads) == of[1] else f"head {heads[0]}"
    return f"{combine} of {which}, {'all layers' if len(layers) == of[0] else f'layer {layers[0]}'}"


def _bars(result: Attention, values: Tensor, word: int, look: str, title: str) -> go.Figure:
    """The weights of one token on every other."""
    [word] = _chosen(word, len(values), "word")
    row = values[word] if look == "from" else values[:, word]
    verb = "attends to" if look == "from" else "is attended to by"
    figure = theme.new_figure(
        x_title="token",
        y_title=title.partition(": ")[2],
        title=f"{theme.label(result.tokens[word])} (position {word}) {verb}, {title.split(':')[0]}",
        height=340,
    )
    bars = go.Bar(
        x=[str(place) for place in range(len(row))],  # equal tokens stay apart
        y=row.numpy(),
        customdata=[theme.label(token, 40) for token in result.tokens],
        marker={"color": theme.CATEGORICAL[0]},
        hovertemplate="%{customdata} (%{x})<br>%{y:.3f}<extra></extra>",
    )
    figure.add_trace(bars)
    theme.label_axis(figure, result.tokens, axis="x")
    return figure.update_yaxes(range=[0, 1])


def _map(result: Attention, values: Tensor, unit: str, title: str) -> go.Figure:
    figure = theme.new_figure(
        x_title="key token (attended to)",
        y_title="query token",
        title=title,
        height=min(860, 170 + 24 * len(result.tokens)),
    )
    tokens, values = _coarse(result.tokens, values)
    figure.add_trace(_trace(tokens, values, title.split(":")[0], unit, colorbar=True))
    return theme.label_grid(figure, tokens, tokens)


def _coarse(tokens: Sequence[str], values: Tensor) -> tuple[Sequence[str], Tensor]:
    """Names and weights, of so many neighbouring tokens together that the figure stays small.

    The largest weight of each block stands for it: a mean would hide a single strong link.
    """
    length = len(tokens)
    size = math.ceil((values.numel() / MOST_CELLS) ** 0.5)
    if size == 1:
        return tokens, values
    rest = -length % size
    blocks = F.pad(values.nan_to_num(-1.0), (0, rest, 0, rest), value=-1.0)
    blocks = reduce(blocks, "... (query i) (key j) -> ... query key", "max", i=size, j=size)
    starts = range(0, length, size)
    names = [f"{tokens[i]}… ({i}-{min(i + size, length) - 1})" for i in starts]
    return names, _past(blocks)


def _grid(
    result: Attention, values: Tensor, layers: list[int], heads: list[int], unit: str
) -> go.Figure:
    figure = make_subplots(
        rows=len(layers),
        cols=len(heads),
        horizontal_spacing=0.02,
        vertical_spacing=0.08 / len(layers),
        column_titles=[f"head {head}" for head in heads],
    )
    tokens, coarse = _coarse(result.tokens, values[layers][:, heads])
    named = len(tokens) <= MOST_NAMED
    theme.style(figure, height=min(1400, 140 + max(190, 13 * len(tokens)) * len(layers)))
    for row, layer in enumerate(layers, 1):
        for col, head in enumerate(heads, 1):
            last = row == col == 1
            name = f"head {layer}.{head}"
            trace = _trace(tokens, coarse[row - 1, col - 1], name, unit, colorbar=last)
            figure.add_trace(trace, row=row, col=col)
            figure.update_yaxes(
                title_text=f"layer {layer}: query" if col == 1 else "", row=row, col=col
            )
    theme.label_grid(figure, tokens, tokens)
    figure.update_xaxes(showticklabels=False, ticks="", tickangle=-60, tickfont_size=10)
    figure.update_yaxes(showticklabels=False, ticks="", tickfont_size=10)
    figure.update_xaxes(title={"text": "key (attended to)", "standoff": 6}, row=len(layers))
    if named:
        figure.update_xaxes(showticklabels=True, row=len(layers))
        figure.update_yaxes(showticklabels=True, col=1)
    return figure.update_layout(margin={"t": 50})


def _trace(
    tokens: Sequence[str], values: Tensor, name: str, unit: str, colorbar: bool
) -> go.Heatmap:
    trace = theme.heatmap_trace(
        values,
        x=tokens,
        y=tokens,
        x_title="key",
        y_title="query",
        unit=unit,
        low=0.0,
        high=1.0,
        colorbar=colorbar,
    )
    return trace.update(
        colorscale=[[0, theme.PAPER], [1, theme.CATEGORICAL[0]]],  # as on the page
        xgap=0,
        ygap=0,
        hovertemplate=f"{name}<br>query %{{y}}<br>attends to %{{x}}"
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
