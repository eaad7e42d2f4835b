"""A story read along: how probable the true value is at each token, or where it can be read."""

from typing import TYPE_CHECKING, Literal

import plotly.graph_objects as go

from interp.plots import theme

if TYPE_CHECKING:
    from interp.analyses.probing.state_decoding import StateDecoding

SHORT = {
    "asked": "before its answer",
    "named": "at its name",
    "told": "where it is said",
    "after": "later in the sentence",
    "elsewhere": "other sentences",
}
CONTROLS = {"untrained": "untrained model", "shuffled": "shuffled labels", "majority": "majority"}
GREYS = {"untrained": theme.CONTROL, "shuffled": "#b3bac2", "majority": "#d5d9de"}


def figure(result: "StateDecoding", *, view: Literal["story", "where"] = "story") -> go.Figure:
    """Draw the decoded state.

    Args:
        result: of `interp.state_decoding`.
        view: `story`: the probability of the true value by token, ✗ where another is read; `where`:
            the share read right by kind of token, beside the controls.
    Raises:
        ConfigError: an unknown view.
    """
    theme.check_choice("view", view, ("story", "where"))
    return _story(result) if view == "story" else _where(result)


def _story(result: "StateDecoding") -> go.Figure:
    marks = [["✗" if wrong else "" for wrong in row] for row in result.wrong.tolist()]
    return theme.heatmap(
        result.p_true,
        x=result.tokens,
        y=[who or "the story" for who in result.about],
        x_title="token",
        y_title=f"whose {result.variable}",
        unit="p(true value)",
        text=marks,
        low=0.0,
        high=1.0,
        height=48 * len(result.about) + 180,
    )


def _where(result: "StateDecoding") -> go.Figure:
    figure = theme.new_figure(y_title="share read right on held-out stories", height=400)
    places = list(result.accuracy)
    curves = {"probe": result.accuracy, **result.controls}
    for name, intervals in curves.items():
        known = [place for place in places if place in intervals]
        theme.add_bars(
            figure,
            [SHORT.get(place, place) for place in known],
            **theme.curve([intervals[place] for place in known]),
            name=CONTROLS.get(name, name),
            color=GREYS.get(name, theme.CATEGORICAL[0]),
        )
    figure.update_layout(barmode="group", bargap=0.25)
    return figure.update_yaxes(range=[0, 1.06], tickformat=".1f")
