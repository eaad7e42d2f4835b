"""A text whose tokens are coloured by what they cost, wrapped into lines; or a table of kinds."""

from typing import Literal, get_args

import plotly.graph_objects as go
from torch import Tensor

from interp.analyses.behavior.surprise import Surprise
from interp.core.errors import ConfigError
from interp.plots import theme

View = Literal["loss", "regret", "floor", "kinds"]
UNITS = {"loss": "loss (nats)", "regret": "regret = loss − floor (nats)", "floor": "floor (nats)"}
WIDTH = 88


def figure(result: Surprise, *, view: View = "loss", width: int = WIDTH) -> go.Figure:
    """The text with its tokens coloured; hover tells loss, floor, regret, rank and kind.

    Args:
        result: of `interp.surprise`.
        view: what colours the tokens, or `kinds`: regret and floor by kind of choice.
        width: characters a line.
    Raises:
        ConfigError: an unknown view, or one that needs a world's floor.
    """
    theme.check_choice("view", view, get_args(View))
    if view != "loss" and not result.has_floor:
        raise ConfigError(f"view={view!r} needs a floor: call surprise(..., world=world).")
    return _kinds(result) if view == "kinds" else _text(result, view, width)


def _text(result: Surprise, view: str, width: int) -> go.Figure:
    values: Tensor = getattr(result, f"{view}_nats")
    starts, lines = _wrap(result.tokens, width)
    deepest = max(lines)
    figure = theme.new_figure(
        x_title="character in the line", y_title="line", height=26 * (deepest + 1) + 120
    )
    figure.add_trace(_tokens(result, values, starts, lines, UNITS[view], signed=view == "regret"))
    figure.update_xaxes(range=[0, width], showgrid=False, zeroline=False)
    figure.update_yaxes(
        range=[deepest + 0.6, -0.6], dtick=1, tick0=0, showgrid=False, zeroline=False
    )
    return figure.update_layout(bargap=0.12)


def _wrap(tokens: tuple[str, ...], width: int) -> tuple[list[int], list[int]]:
    """Column and line of each token; a line's end in the text ends the line."""
    starts, lines, column, line = [], [], 0, 0
    for token in tokens:
        size = _size(token)
        if column and column + size > width:
            column, line = 0, line + 1
        starts.append(column)
        lines.append(line)
        column += size
        if "⏎" in token:
            column, line = 0, line + 1
    return starts, lines


def _size(token: str) -> int:
    return min(len(token), theme.LONGEST_LABEL) + 1


def _tokens(
    result: Surprise, values: Tensor, starts: list[int], lines: list[int], unit: str, signed: bool
) -> go.Bar:
    """One bar a token, as wide as its text: bars carry colour, text and hover at once."""
    bound = max(float(values.abs().max()), 1e-6)
    return go.Bar(
        orientation="h",
        base=starts,
        x=[_size(token) for token in result.tokens],
        y=lines,
        text=[theme.label(token) for token in result.tokens],
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        constraintext="none",
        textfont={"family": theme.MONO, "size": 11},
        marker={
            "color": values.tolist(),
            "colorscale": theme.DIVERGING if signed else "Blues",
            "cmin": -bound if signed else 0.0,
            "cmax": bound,
            "showscale": True,
            "colorbar": {"title": {"text": unit, "side": "right"}, "thickness": 12},
            "line": {"width": 0},
        },
        customdata=[_words(result, i) for i in range(len(result.tokens))],
        hovertemplate="%{customdata}<extra></extra>",
        showlegend=False,
    )


def _words(result: Surprise, i: int) -> str:
    lines = [
        f"{theme.label(result.tokens[i], 40)} (token {i})",
        f"loss {result.loss_nats[i]:.3f} nats, rank {result.ranks[i]}",
        f"entropy before it {result.entropy_bits[i]:.2f} bits",
    ]
    if result.has_floor:
        regret = result.regret_nats[i]
        lines.append(f"floor {result.floor_nats[i]:.3f} nats, regret {regret:+.3f} nats")
        lines.append(f"kind: {theme.label(result.kinds[i], 40)}")
    return "<br>".join(lines)


def _kinds(result: Surprise) -> go.Figure:
    """Floor and regret of each kind side by side, with the regret's interval."""
    table = result.by_kind()
    names = [f"{kind} ({count})" for kind, (count, *_) in table.items()]
    floors = [floor for _, _, floor, _ in table.values()]
    regrets = [regret for *_, regret in table.values()]
    figure = theme.new_figure(x_title="kind of choice (tokens)", y_title="nats per token")
    theme.add_bars(figure, names, floors, name="floor", color=theme.CONTROL)
    theme.add_bars(
        figure,
        names,
        **theme.curve(regrets),
        name="regret",
        color=1,
    )
    return figure.update_layout(barmode="group")
