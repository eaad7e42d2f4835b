"""Divergence and cost of each steered token, from left to right."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.core.display import percent
from interp.plots import theme

if TYPE_CHECKING:
    from interp.analyses.interventions.continuation import Continuation


def figure(result: "Continuation") -> go.Figure:
    """KL before each steered token, and below what the token costs with and without the edits.

    Args:
        result: of `interp.continuation`.
    """
    places = list(range(len(result.steered_tokens)))
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    theme.style(figure, height=460)
    figure.add_trace(_bars(result, places), row=1, col=1)
    lines = {
        "under the unedited model": (result.log_prob_nats, 1),
        "under the edits": (result.steered_log_prob_nats, 0),
    }
    for name, (log_probs, color) in lines.items():
        words = result.steered_tokens
        theme.add_line(
            figure, places, -log_probs, name=name, color=color, words=words, row=2, col=1
        )
    if not result.same:
        line = {"color": theme.CONTROL, "width": 1, "dash": "dot"}
        figure.add_vline(x=result.parted - 0.5, line=line)
    figure.update_yaxes(title_text="KL (nats)", row=1, col=1)
    figure.update_yaxes(title_text="loss (nats)", row=2, col=1)
    title = theme.in_lines("token of the steered text (dotted: where the texts part)")
    figure.update_xaxes(title_text=title, row=2, col=1)
    theme.label_axis(figure, result.steered_tokens, row=2, col=1)
    return figure.update_xaxes(type="linear").update_layout(bargap=0.15)


def _bars(result: "Continuation", places: list[int]) -> go.Bar:
    return go.Bar(
        x=places,
        y=result.kl_nats.tolist(),
        marker={"color": theme.CATEGORICAL[0]},
        showlegend=False,
        customdata=[_words(result, i) for i in places],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _words(result: "Continuation", i: int) -> str:
    lines = [f"{theme.label(result.steered_tokens[i], 40)}: KL {result.kl_nats[i]:.3f} nats"]
    for name, candidates in (("before", result.before[i]), ("after", result.after[i])):
        best = ", ".join(f"{theme.label(token)} {percent(chance)}" for token, chance in candidates)
        lines.append(f"{name}: {best}")
    return "<br>".join(lines)
