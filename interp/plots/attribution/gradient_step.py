"""One gradient step: candidates before and after, prediction and truth, what moved, what else."""

from typing import TYPE_CHECKING, Literal, get_args

import plotly.graph_objects as go

from interp.core.display import percent
from interp.core.errors import ConfigError
from interp.plots import theme
from interp.plots.row_bars import name_bars, probability_bars, row_bars

if TYPE_CHECKING:
    from interp.analyses.attribution.gradient_step import GradientStep

BEFORE, AFTER = theme.CONTROL, theme.CATEGORICAL[0]
RIGHT = theme.CATEGORICAL[1]
MOST_PARTS = 12
View = Literal["candidates", "losses", "sizes", "parts", "untouched"]
Parts = Literal["layer", "tensor", "head", "neuron", "token"]


def figure(
    result: "GradientStep", *, view: View = "candidates", parts: Parts = "head"
) -> go.Figure:
    """Draw what some steps did.

    Args:
        result: of `interp.gradient_step`.
        view: `candidates` before and after; `losses` step by step, predicted and true; `sizes`:
            the error of the prediction against the step size; the `parts` that moved; or the
            `untouched` prompts.
        parts: kind of part, for `parts`.
    Raises:
        ConfigError: an unknown view or kind, or nothing to draw.
    """
    theme.check_choice("view", view, get_args(View))
    if view == "parts":
        return _parts(result, parts)
    views = {"candidates": _candidates, "losses": _losses, "sizes": _sizes, "untouched": _untouched}
    return views[view](result)


def _candidates(result: "GradientStep") -> go.Figure:
    """Paired bars, the best on top; the right answer is marked."""
    names = [_marked(result, i) for i in range(len(result.candidates))]
    series = [("before", result.before, BEFORE)]
    series += [("after", result.after, AFTER)] if result.steps else []
    return probability_bars(names, series, percent, _title(result))


def _marked(result: "GradientStep", i: int) -> str:
    name = theme.label(result.candidates[i])
    return f"<b>{name}</b> ✓" if i == result.right else name


def _title(result: "GradientStep") -> str:
    answer = theme.label(repr(result.answer), 40)
    if not result.steps:
        return f"next token before any step; right: {answer}"
    steps = f"{result.steps} {result.optimizer_name} step{'s' * (result.steps != 1)}"
    return f"next token before and after {steps} of {result.lr:g} towards {answer}"


def _losses(result: "GradientStep") -> go.Figure:
    """The loss after each step, and where each step's own prediction pointed."""
    figure = theme.new_figure(x_title="step", y_title="loss of the answer (nats)", height=360)
    at = list(range(len(result.losses)))
    theme.add_line(figure, at, result.losses, name="the loss after each step")
    for i, change in enumerate(result.predicted):
        start = result.losses[i]
        figure.add_trace(
            go.Scatter(
                x=[i, i + 1],
                y=[start, start + change],
                mode="lines",
                line={"color": RIGHT, "width": 1.5, "dash": "dot"},
                name="predicted by the gradient",
                legendgroup="predicted",
                showlegend=i == 0,
                hovertemplate=f"predicted: {change:+.4g} nats<extra></extra>",
            )
        )
    top = max(result.losses)
    # A step that is too large is predicted to leave the page; the scale is the loss's own.
    figure.update_yaxes(range=[-0.25 * top - 1e-9, 1.1 * top + 1e-9])
    return figure.update_xaxes(dtick=max(1, len(result.predicted) // 10))


def _sizes(result: "GradientStep") -> go.Figure:
    """How wrong both predictions are for a first step of other sizes, both axes logarithmic."""
    figure = theme.new_figure(
        x_title="step size", y_title="error of the predicted change (nats)", height=380
    )
    series = (
        ("by the gradient", result.tried_first, 0),
        ("by gradient and curvature", result.tried_second, 2),
    )
    for name, predicted, colour in series:
        pairs = zip(result.tried, predicted, strict=True)
        errors = [abs(a - b) or None for a, b in pairs]
        theme.add_line(figure, result.sizes, errors, name=name, color=colour)
    theme.add_control(
        figure, result.sizes, [abs(x) or None for x in result.tried], name="the true change"
    )
    figure.add_vline(x=result.lr, line={"color": theme.CONTROL, "width": 1, "dash": "dot"})
    figure.update_xaxes(type="log", exponentformat="power")
    return figure.update_yaxes(type="log", exponentformat="power")


def _parts(result: "GradientStep", kind: str) -> go.Figure:
    chosen = [i for i, k in enumerate(result.part_kinds) if k == kind][:MOST_PARTS]
    if not chosen:
        known = ", ".join(dict.fromkeys(result.part_kinds))
        raise ConfigError(f"parts needs to be one of {known} in this model; got {kind!r}.")
    names = [theme.label(result.parts[i], 28) for i in chosen]
    figure = theme.new_figure(
        x_title="share of the whole",
        height=130 + 34 * len(names),
        title=f"the largest, by {kind}",
    )
    series = (("squared update", result.moved, AFTER), ("predicted gain", result.gained, RIGHT))
    for name, values, colour in series:
        figure.add_trace(row_bars(names, values[chosen].tolist(), name, colour, percent))
    most = max(float(values[chosen].max()) for _, values, _ in series)
    least = min(0.0, *(float(values[chosen].min()) for _, values, _ in series))
    figure.update_xaxes(range=[1.25 * least, 1.25 * max(most, 1e-9)], tickformat=".0~%")
    return name_bars(figure, names)


def _untouched(result: "GradientStep") -> go.Figure:
    """The right answer's loss on each prompt, before and after, with the best tokens."""
    if not result.untouched:
        raise ConfigError("No untouched prompts were given: name some, or a world that asks.")
    names = [f"… {theme.label(text[-28:], 30)}" for text in result.untouched]
    figure = theme.new_figure(
        x_title="loss of its right answer (nats)", height=130 + 46 * len(names)
    )
    for at, (name, colour) in enumerate((("before", BEFORE), ("after", AFTER))):
        words = [_hover(result, i, at) for i in range(len(names))]
        figure.add_trace(
            go.Scatter(
                x=result.untouched_loss[:, at].tolist(),
                y=list(range(len(names))),
                mode="markers",
                name=name,
                marker={"color": colour, "size": 11, "symbol": ("circle-open", "circle")[at]},
                customdata=words,
                hovertemplate=f"{name}: %{{x:.4~g}} nats<br>%{{customdata}}<extra></extra>",
            )
        )
    figure.update_xaxes(rangemode="tozero")
    return name_bars(figure, names)


def _hover(result: "GradientStep", i: int, at: int) -> str:
    best = theme.label(repr(result.untouched_tops[i][at]))
    right = theme.label(repr(result.untouched_answers[i]))
    return f"right: {right}; best: {best} {percent(result.untouched_probabilities[i, at], 1)}"
