"""How well the world is read against how well the text is predicted, a panel a variable."""

import math
from typing import TYPE_CHECKING, Literal, get_args

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.plots import theme

if TYPE_CHECKING:
    from interp.analyses.behavior.fidelity import Fidelity

PLACES = {"named": "at its name", "asked": "just before the answer"}
SYMBOLS = {"named": "circle", "asked": "diamond"}
COMPARED = {
    "loss": ("loss, over training", 0, "circle"),
    "clock": ("step alone", 1, "diamond"),
    "same_step": ("loss, at equal steps", 2, "square"),
    "at_end": ("loss, models at their ends", 3, "triangle-up"),
}
ROW = 46
View = Literal["scatter", "correlation"]


def figure(result: "Fidelity", *, view: View = "scatter") -> go.Figure:
    """Draw fidelity.

    Args:
        result: of `interp.fidelity`.
        view: `scatter`: accuracy against loss, which falls to the right, the colour telling the
            step; `correlation`: rank correlations of accuracy with their intervals.
    Raises:
        ConfigError: an unknown view.
    """
    theme.check_choice("view", view, get_args(View))
    return _correlations(result) if view == "correlation" else _scatter(result)


def _scatter(result: "Fidelity") -> go.Figure:
    variables = list(dict.fromkeys(task.partition(" (")[0] for task in result.tasks))
    columns = min(2, len(variables))
    rows = math.ceil(len(variables) / columns)
    figure = make_subplots(
        rows=rows, cols=columns, shared_yaxes=True, horizontal_spacing=0.06,
        vertical_spacing=0.34 / rows / rows if rows > 1 else 0.0,
        subplot_titles=[theme.label(name, 40) for name in variables],
    )  # fmt: skip
    theme.style(figure, height=280 * rows + 90)
    for number, variable in enumerate(variables):
        where = {"row": number // columns + 1, "col": number % columns + 1}
        for task in (each for each in result.tasks if each.partition(" (")[0] == variable):
            _panel(figure, result, task, where, first=number == 0)
        last = number + columns >= len(variables)
        figure.update_xaxes(title_text="held-out loss (nats/token)" if last else "", **where)
    figure.update_yaxes(range=[-0.03, 1.05], zeroline=False)
    figure.update_yaxes(title_text="read right", col=1)
    # The better a model predicts, the further right it stands.
    figure.update_xaxes(autorange="reversed", zeroline=False)
    return figure.update_layout(
        margin={"t": 84, "r": 96}, legend={"y": 1 + 44 / (280 * rows)}, coloraxis=_colours(result)
    )


def _panel(figure: go.Figure, result: "Fidelity", task: str, where: dict, first: bool) -> None:
    place = task.partition("(")[2].rstrip(")")
    name, symbol = PLACES.get(place, place), SYMBOLS.get(place, "circle")
    for number, run in enumerate(result.runs):
        points = [i for i, owner in enumerate(result.run.tolist()) if owner == number]
        figure.add_trace(
            go.Scatter(
                x=[result.loss[i].value for i in points],
                y=[result.accuracy[task][i].value for i in points],
                mode="lines+markers",
                name=name,
                legendgroup=place,
                showlegend=first and number == 0,
                line={"color": theme.CONTROL, "width": 1, "dash": "solid" if place == "named"
                      else "dot"},
                marker={
                    "symbol": symbol, "size": 9, "coloraxis": "coloraxis",
                    "color": [_height(int(result.steps[i])) for i in points],
                    "line": {"width": 1, "color": theme.INK},
                },
                customdata=[_words(result, task, run, i) for i in points],
                hovertemplate="%{customdata}<extra></extra>",
            ),
            **where,
        )  # fmt: skip
    control = result.untrained[task]
    if control.n:
        figure.add_trace(
            go.Scatter(
                x=[result.untrained_loss], y=[control.value], mode="markers",
                name="untrained model", legendgroup="untrained",
                showlegend=first and place == "named",
                marker={"symbol": f"{symbol}-open", "size": 10, "color": theme.CONTROL},
                hovertemplate=f"untrained, {theme.label(name, 40)}: %{{y:.2f}}<extra></extra>",
            ),
            **where,
        )  # fmt: skip


def _words(result: "Fidelity", task: str, run: str, i: int) -> str:
    mine, shuffled = result.accuracy[task][i], result.shuffled[task][i]
    return (
        f"{theme.label(run, 40)}, step {int(result.steps[i]):,}, {result.sites[task][i]}<br>"
        f"read right {mine}<br>shuffled labels {shuffled.value:.2f}<br>"
        f"loss {result.loss[i].value:.3f} nats/token"
    )


def _height(step: int) -> float:
    return math.log1p(max(0, step))


def _colours(result: "Fidelity") -> dict:
    steps = sorted({max(0, int(step)) for step in result.steps})
    ticks = [steps[0], steps[len(steps) // 2], steps[-1]]
    return {
        "colorscale": theme.SEQUENTIAL,
        "colorbar": {
            "title": {"text": "step"}, "thickness": 12, "tickmode": "array",
            "tickvals": [_height(step) for step in ticks],
            "ticktext": [f"{step:,}" for step in ticks],
        },
    }  # fmt: skip


def _correlations(result: "Fidelity") -> go.Figure:
    """A row a task; only what was compared."""
    compared = [
        name
        for name in COMPARED
        if any(not math.isnan(each.value) for each in result.correlations[name].values())
    ]
    figure = theme.new_figure(
        x_title="rank correlation of accuracy", height=ROW * len(result.tasks) + 130
    )
    for number, name in enumerate(compared):
        shift = (number - (len(compared) - 1) / 2) * 0.2
        figure.add_trace(_dots(result, name, shift))
    figure.add_vline(x=0, line={"color": theme.CONTROL, "width": 1.5, "dash": "dot"})
    theme.name_rows(figure, result.tasks)
    return figure.update_xaxes(range=[-1.05, 1.05], zeroline=False).update_layout(margin_t=64)


def _dots(result: "Fidelity", name: str, shift: float) -> go.Scatter:
    words, colour, symbol = COMPARED[name]
    intervals = [result.correlations[name][task] for task in result.tasks]
    color = theme.CATEGORICAL[colour]
    return go.Scatter(
        x=[each.value for each in intervals],
        y=[place + shift for place in range(len(intervals))],
        mode="markers",
        name=f"with the {words}",
        marker={"symbol": symbol, "size": 9, "color": color},
        error_x=theme.whiskers(intervals, color, thickness=1.4, width=3),
        customdata=[str(each) for each in intervals],
        hovertemplate="%{customdata}<extra></extra>",
        cliponaxis=False,
    )
