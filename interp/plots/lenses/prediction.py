"""One next token: its candidates, the parts of a score, the way through the layers, the draw."""

from typing import Literal, get_args

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.analyses.lenses.prediction import Prediction
from interp.core.display import percent
from interp.core.errors import ConfigError
from interp.plots import theme

CHOSEN, PLAIN = theme.CATEGORICAL[1], theme.CATEGORICAL[0]
OTHERS = theme.GRID
View = Literal["candidates", "contributions", "path", "draw"]


def figure(
    result: Prediction, *, view: View = "candidates", candidate: int | None = None
) -> go.Figure:
    """One prediction as a figure; the chosen token is orange.

    Args:
        result: of `interp.prediction`.
        view: `candidates` at temperature 1 and as drawn; `contributions` that add up to a score;
            the `path` through the layers; or the `draw` on the bar of probabilities.
        candidate: number of the candidate whose score is taken apart; None = the chosen one.
    Raises:
        ConfigError: an unknown view, or no such candidate.
    """
    theme.check_choice("view", view, get_args(View))
    if candidate is not None and not 0 <= candidate < len(result.candidates):
        raise ConfigError(
            f"candidate needs to be 0 to {len(result.candidates) - 1}; got {candidate}. "
            "Call prediction(..., k=...) for more of them."
        )
    if view == "contributions":
        return _contributions(result, result.chosen if candidate is None else candidate)
    views = {"candidates": _candidates, "path": _path, "draw": _draw}
    return views[view](result)


def _height(rows: int) -> int:
    return max(260, 30 * rows + 120)


def _candidates(result: Prediction) -> go.Figure:
    names = list(result.candidates)
    figure = theme.new_figure(x_title="probability", y_title="token", height=_height(len(names)))
    colors = [CHOSEN if i == result.chosen else PLAIN for i in range(len(names))]
    for name, values, color in (
        (f"as drawn, at temperature {result.temperature:g}", result.sampling_probabilities, colors),
        ("at temperature 1", result.probabilities, theme.CONTROL),
    ):
        figure.add_trace(_bars(values.tolist(), name=name, color=color, unit="probability"))
    _name_rows(figure, names)
    return figure.update_layout(barmode="group", bargap=0.25, legend_traceorder="reversed")


def _bars(values: list[float], *, name: str, color: object, unit: str, **more: object) -> go.Bar:
    return go.Bar(
        orientation="h",
        x=values,
        y=list(range(len(values))),
        name=name,
        marker={"color": color},
        hovertemplate=f"{name}<br>{unit} %{{x:.4~g}}<extra></extra>",
        **more,
    )


def _name_rows(figure: go.Figure, names: list[str], **place: int) -> None:
    """Rows from the top by number, so that equal names stay apart."""
    named = theme.named_ticks([theme.label(name) for name in names])
    figure.update_yaxes(**named, autorange="reversed", showgrid=False, zeroline=False, **place)


def _contributions(result: Prediction, candidate: int) -> go.Figure:
    """A waterfall from the top down: each part begins where those before it have come to."""
    adding = result.contributions[:, candidate].tolist()
    name, score = result.candidates[candidate], float(result.scores[candidate])
    starts = [sum(adding[:i]) for i in range(len(adding))]
    figure = theme.new_figure(
        x_title=f"score of {theme.label(name)} (logit less the mean logit, nats)",
        y_title="part",
        height=_height(len(adding) + 1),
    )
    colors = [PLAIN if value >= 0 else theme.CATEGORICAL[3] for value in adding]
    figure.add_trace(
        _bars(
            [*adding, score],
            name="score",
            color=[*colors, CHOSEN],
            unit="nats",
            base=[*starts, 0.0],
            text=[f"{value:+.2f}" for value in adding] + [f"{score:.2f}"],
            textposition="outside",
            cliponaxis=False,
            customdata=[*adding, score],
        )
    )
    figure.data[0].hovertemplate = "%{customdata:+.4f} nats<extra></extra>"
    _name_rows(figure, [*result.parts, "score"])
    return figure.update_layout(showlegend=False)


def _path(result: Prediction) -> go.Figure:
    """Layers down: how long the vectors are, and what the stream would say if it ended there."""
    rows = ["embedding", *(f"after layer {n}" for n in range(len(result.attn_norms)))]
    figure = make_subplots(cols=2, shared_yaxes=True, horizontal_spacing=0.08)
    theme.style(figure, height=_height(len(rows)))
    series = (
        ("attention adds", [0.0, *result.attn_norms[:, -1].tolist()], PLAIN),
        ("MLP adds", [0.0, *result.mlp_norms[:, -1].tolist()], theme.CATEGORICAL[2]),
        ("stream", result.resid_norms[:, -1].tolist(), theme.CONTROL),
    )
    for name, values, color in series:
        figure.add_trace(_bars(values, name=name, color=color, unit="norm"), row=1, col=1)
    best = _bars(
        result.guess_probabilities.tolist(),
        name="best token there",
        color=theme.CATEGORICAL[4],
        unit="probability",
        text=[theme.label(token) for token in result.guesses],
        textposition="auto",
    )
    figure.add_trace(best, row=1, col=2)
    chosen = go.Scatter(
        x=result.chosen_probabilities.tolist(),
        y=list(range(len(rows))),
        mode="markers+lines",
        name="the chosen token",
        line={"color": CHOSEN, "width": 1},
        marker={"size": 9, "symbol": "diamond", "color": CHOSEN},
        hovertemplate="the chosen token<br>probability %{x:.4~g}<extra></extra>",
    )
    figure.add_trace(chosen, row=1, col=2)
    for col, title in ((1, "norm at the last position"), (2, "probability, read there")):
        figure.update_xaxes(title_text=title, rangemode="tozero", row=1, col=col)
        _name_rows(figure, rows, row=1, col=col)
    figure.update_yaxes(title_text="layer", row=1, col=1)
    return figure.update_layout(barmode="group")


def _draw(result: Prediction) -> go.Figure:
    """The bar from 0 to 1 in the order of ids, and where the random number fell."""
    rest = max(0.0, 1 - float(result.sampling_probabilities.sum()))
    figure = theme.new_figure(
        x_title="cumulative probability as drawn, tokens in the order of their ids",
        y_title="draw",
        title=f"blank: other tokens, {percent(rest, 1)}" if rest >= 5e-4 else "",
        height=240,
    )
    for i, name in enumerate(result.candidates):
        figure.add_trace(_segment(result, i, name))
    if result.draw is not None:
        figure.add_vline(
            x=result.draw,
            line={"color": theme.INK, "width": 2},
            annotation={"text": f"draw {result.draw:.4f}", "yanchor": "bottom"},
        )
    figure.update_xaxes(range=[0, 1], showgrid=False)
    figure.update_yaxes(showticklabels=False, showgrid=False, range=[-0.6, 0.8])
    return figure.update_layout(barmode="overlay", showlegend=False)


def _segment(result: Prediction, i: int, name: str) -> go.Bar:
    share = float(result.sampling_probabilities[i])
    return go.Bar(
        orientation="h",
        base=[float(result.cdf_low[i])],
        x=[share],
        y=[0],
        name=theme.label(name),
        text=[theme.label(name)] if share >= 0.04 else None,
        textposition="inside",
        insidetextanchor="middle",
        marker={
            "color": CHOSEN if i == result.chosen else PLAIN,
            "line": {"color": theme.PAPER, "width": 1},
        },
        hovertemplate=f"{theme.label(name)}<br>from %{{base:.4f}}, probability {share:.4f}"
        "<extra></extra>",
    )
