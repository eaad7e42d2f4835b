"""What `attention` draws, as a figure that can be saved: tinted tokens above the grid of heads.

One pair of axes in pixels, from the top left: the same picture at the same size in every format.
"""

import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go
import torch
import torch.nn.functional as F
from einops import reduce
from jaxtyping import Float
from torch import Tensor

from dashboards.components.attention import LEVELS, Scene
from interp.plots import theme
from interp.report.pictures import WIDTH

EDGE, LETTER, LINE, SPACE = 16, 8.5, 31, 5
"""Pixels: the margin, a letter of the tokens, a line of them, and the space before a word."""
LEGEND, LABELS, MOST_SIDE, LEAST_SIDE, ASIDE = 46, 64, 74, 8, 250
TINT, HARM = theme.CATEGORICAL[:2]
LARGEST_PICTURE, MOST_CELLS, MOST_NAMED = 96, 250_000, 20_000
"""Pixels a side of a head's picture, as on the page; cells of all heads together, and up to which
the pointer tells tokens and weights."""
DEEP, MOST_ROWS = 0.8, 5
LEAST = 0.5 / LEVELS
"""A weight below this is 0 on the page."""


@dataclass
class Drawing:
    """Shapes, texts and traces in pixels, collected and then put into a figure at once."""

    shapes: list[dict[str, Any]] = field(default_factory=list)
    texts: list[dict[str, Any]] = field(default_factory=list)
    traces: list[Any] = field(default_factory=list)

    def box(self, x: float, y: float, width: float, height: float, **look: Any) -> None:
        """A rectangle; `fillcolor` and `line` as in plotly."""
        place = {"type": "rect", "x0": x, "x1": x + width, "y0": y, "y1": y + height}
        self.shapes.append({"line": {"width": 0}, "layer": "below", **place, **look})

    def text(self, x: float, y: float, text: str, **look: Any) -> None:
        """Words that begin at a place; `look` is an annotation's."""
        usual = {"showarrow": False, "xanchor": "left", "yanchor": "middle", "align": "left"}
        self.texts.append({**usual, "x": x, "y": y, "text": text, **look})

    def figure(self, height: float) -> go.Figure:
        """All of it in the house style."""
        figure = theme.style(go.Figure(self.traces), height=round(height))
        axis = {"visible": False, "fixedrange": True}
        return figure.update_layout(
            width=WIDTH,
            margin={"l": 0, "r": 0, "t": 0, "b": 0},
            xaxis={**axis, "range": [0, WIDTH]},
            yaxis={**axis, "range": [round(height), 0]},
            shapes=self.shapes,
            annotations=self.texts,
            showlegend=False,
        )


def attention_picture(scene: Scene) -> go.Figure:
    """The legend, the tokens tinted by the locked one's row, the heads, and the largest weights."""
    drawing = Drawing()
    _legend(drawing, scene)
    below = _tokens(drawing, scene, LEGEND + EDGE) + 2 * EDGE
    right, bottom = _heads(drawing, scene, below)
    beside = right + 2 * EDGE + ASIDE <= WIDTH
    x, y = (right + 2 * EDGE, below) if beside else (EDGE, bottom + EDGE)
    bottom = max(bottom, _largest(drawing, scene, x, y))
    return drawing.figure(bottom + EDGE)


def _legend(drawing: Drawing, scene: Scene) -> None:
    drawing.text(EDGE, 20, f"{scene.unit}, {_head_name(scene)}", yanchor="middle")
    depth = torch.linspace(0, 1, 64)[None].numpy()
    left, width = 560, 144
    place = {"x0": left, "dx": width / 64, "y0": 20, "dy": 12}
    drawing.traces.append(_map(depth, hoverinfo="skip", **place))
    for share, words in ((0, "0"), (0.5, ".25"), (1, "1")):
        drawing.text(left + share * width, 37, words, xanchor="center", font={"size": 11})


def _tokens(drawing: Drawing, scene: Scene, top: float) -> float:
    """The tokens in lines; gives where they end."""
    x, y, depths = 2.0 * EDGE, top + EDGE, _row(scene).clamp_min(0).sqrt().tolist()
    for number, (token, depth) in enumerate(zip(scene.tokens, depths, strict=True)):
        is_spaced = len(token) > 1 and token.startswith("·")
        text = token[1:] if is_spaced else token
        width = LETTER * max(1, _columns(text)) + 4
        x += SPACE if is_spaced else 0
        if x + width > WIDTH - 2 * EDGE:
            x, y = 2.0 * EDGE, y + LINE
        if depth**2 > LEAST:
            drawing.box(x, y - 12, width, 24, fillcolor=_mixed(TINT, depth))
        is_locked = number == scene.selection.word
        if is_locked:
            drawing.box(x, y + 12, width, 3, fillcolor=HARM)
        words = theme.label(text, len(text))
        drawing.text(
            x + width / 2, y, f"<b>{words}</b>" if is_locked else words, xanchor="center",
            font={"family": theme.MONO, "size": 14, "color": _ink(depth)},
        )  # fmt: skip
        x += width
    frame = {"color": theme.GRID, "width": 1}
    drawing.box(EDGE, top - 6, WIDTH - 2 * EDGE, y + 30 - top, line=frame)
    return y + 24


def _heads(drawing: Drawing, scene: Scene, top: float) -> tuple[float, float]:
    """The grid of heads, layers down and heads across; gives its right and lower end."""
    n_heads, badges = scene.weights.shape[1], scene.notes.badges
    room = (WIDTH - 2 * EDGE - LABELS) / n_heads
    side, gap = min(MOST_SIDE if n_heads <= 8 else 51, room - 3), 5 if n_heads <= 8 else 3
    side = max(LEAST_SIDE, side)
    step = side + gap
    has_badges = side >= 40 and any(any(row) for row in badges)
    small, left = {"size": 11}, EDGE + LABELS
    for head in range(n_heads):
        drawing.text(left + head * step + side / 2, top, str(head), xanchor="center", font=small)
    for layer in range(scene.n_layers):
        y = top + 12 + layer * (step + 16 * has_badges)
        drawing.text(EDGE, y + side / 2, f"layer {layer}", font=small)
        for head in range(n_heads):
            x = left + head * step
            _head(drawing, scene, layer, head, x, y, side)
            if has_badges and badges[layer][head]:
                words = theme.label(badges[layer][head], int(side / 6))
                place = (x + side / 2, y + side + 8)
                drawing.text(*place, words, xanchor="center", font={"size": 10})
    bottom = top + 12 + scene.n_layers * (step + 16 * has_badges)
    caption = textwrap.wrap(scene.notes.caption, 130)
    drawing.text(EDGE, bottom + 4, _lines(caption), yanchor="top", font={"size": 12})
    return left + n_heads * step, bottom + 17 * len(caption) + 4


def _head(
    drawing: Drawing, scene: Scene, layer: int, head: int, x: float, y: float, side: float
) -> None:
    """One head: its map of weights, or the effect of its ablation."""
    edge = {"color": theme.INK if _is_picked(scene, layer, head) else theme.GRID, "width": 2}
    if scene.notes.effect:
        value = scene.notes.effect[layer][head]
        most = max(0.01, *(abs(each) for row in scene.notes.effect for each in row))
        depth = abs(value) / most
        drawing.box(
            x, y, side, side, fillcolor=_mixed(HARM if value < 0 else TINT, depth), line=edge
        )
        words = f"{value:+.2f}".replace("-", "−") if abs(value) >= 0.005 else "0.00"
        font = {"size": 14 if side > 60 else 11, "color": _ink(depth)}
        drawing.text(x + side / 2, y + side / 2, words, xanchor="center", font=font)
        return
    drawing.box(x - 1, y - 1, side + 2, side + 2, line=edge)
    if layer not in scene.layers:
        return
    n_heads = len(scene.layers) * scene.weights.shape[1]
    largest = max(1, min(LARGEST_PICTURE, int((MOST_CELLS / n_heads) ** 0.5)))
    weights = _pooled(scene.weights[list(scene.layers).index(layer), head], largest)
    cell = side / len(weights)
    hover: dict[str, Any] = {"hovertemplate": f"head {layer}.{head}<extra></extra>"}
    if scene.weights.numel() <= MOST_NAMED and len(weights) == len(scene.tokens):
        names = [f"{theme.label(token, 24)} ({i})" for i, token in enumerate(scene.tokens)]
        hover = {
            "text": [[f"{query} attends to {key}" for key in names] for query in names],
            "customdata": weights.numpy(),
            "hovertemplate": f"head {layer}.{head}<br>%{{text}}<br>%{{customdata:.3f}}"
            "<extra></extra>",
        }
    place = {"x0": x + cell / 2, "dx": cell, "y0": y + cell / 2, "dy": cell}
    drawing.traces.append(_map(weights.sqrt().numpy(), **place, **hover))


def _largest(drawing: Drawing, scene: Scene, x: float, y: float) -> float:
    """The five largest weights of the locked token, and what is said of the head."""
    word, row, selection = scene.selection.word, _row(scene), scene.selection
    if word >= 0:
        verb = "attends to" if scene.look == "from" else "is attended to by"
        name = theme.label(scene.tokens[word].removeprefix("·") or "·", 20)
        drawing.text(x, y, f"<b>{name} ({word}) {verb}</b>")
        y += 26
        seen = [i for i in range(len(row)) if row[i] > LEAST]
        order = sorted(seen, key=lambda i: -float(row[i]))
        for place in order[:MOST_ROWS]:
            drawing.text(x, y, theme.label(scene.tokens[place].removeprefix("·") or "·", 20))
            drawing.text(x + 190, y, str(place), xanchor="right", font={"color": theme.MUTED})
            drawing.text(x + 245, y, f"{float(row[place]):.2f}", xanchor="right")
            y += 24
    sentence = ""
    if selection.layer >= 0 and selection.head >= 0 and scene.notes.words:
        sentence = scene.notes.words[selection.layer][selection.head]
    about = textwrap.wrap(sentence, 36)
    drawing.text(x, y, _lines(about), yanchor="top", font={"size": 12})
    return y + 17 * len(about)


def _row(scene: Scene) -> Float[Tensor, " pos"]:
    """What the locked token attends to, or what attends to it; 0 without one."""
    word, picked = scene.selection.word, scene.selection
    if word < 0:
        return torch.zeros(len(scene.tokens))
    rows = [i for i, layer in enumerate(scene.layers) if picked.layer in (-1, layer)]
    if not rows:  # a layer that was not sent
        return torch.zeros(len(scene.tokens))
    heads = slice(None) if picked.head < 0 else slice(picked.head, picked.head + 1)
    weights = scene.weights[rows][:, heads].flatten(0, 1).float()
    weights = weights[:, word] if scene.look == "from" else weights[:, :, word]
    return weights.mean(0) if scene.combine == "mean" else weights.amax(0)


def _head_name(scene: Scene) -> str:
    """`head 1.2`, or which heads became one number."""
    layer, head = scene.selection.layer, scene.selection.head
    if layer >= 0 and head >= 0:
        return f"head {layer}.{head}"
    which = "all heads" if head < 0 else f"head {head}"
    return f"{scene.combine} of {which}, {'all layers' if layer < 0 else f'layer {layer}'}"


def _is_picked(scene: Scene, layer: int, head: int) -> bool:
    return scene.selection.layer in (-1, layer) and scene.selection.head in (-1, head)


def _map(depth: Any, **options: Any) -> go.Heatmap:
    """Depths in 0 … 1 as tints of one colour."""
    scale = [[0, theme.PAPER], [1, TINT]]
    return go.Heatmap(z=depth, zmin=0, zmax=1, colorscale=scale, showscale=False, **options)


def _pooled(weights: Float[Tensor, "query key"], most: int) -> Float[Tensor, "query key"]:
    """The past and present; of a long text the largest weight of each block, as on the page."""
    size = -(-len(weights) // most)
    rest = -len(weights) % size
    blocks = F.pad(weights.float().tril(), (0, rest, 0, rest))
    blocks = reduce(blocks, "(query i) (key j) -> query key", "max", i=size, j=size)
    return blocks.masked_fill(torch.ones_like(blocks).triu(1).bool(), torch.nan)


def _lines(lines: Sequence[str]) -> str:
    return "<br>".join(theme.label(line, len(line)) for line in lines)


def _columns(text: str) -> int:
    """How many letters wide a text is: signs of East Asia count two, marks on others none."""
    wide = (2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)
    return sum(wide) - sum(unicodedata.combining(sign) > 0 for sign in text)


def _ink(depth: float) -> str:
    return theme.PAPER if depth > DEEP else theme.INK


def _mixed(colour: str, depth: float) -> str:
    """A colour over paper, as `color-mix` on the page."""
    parts = [[int(each[i : i + 2], 16) for i in (1, 3, 5)] for each in (colour, theme.PAPER)]
    mixed = (round(depth * top + (1 - depth) * paper) for top, paper in zip(*parts, strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)
