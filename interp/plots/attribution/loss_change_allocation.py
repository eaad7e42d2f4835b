"""Who lowered the loss between checkpoints and who raised it: blue lowered, red raised."""

from typing import Literal, get_args

import plotly.graph_objects as go
import torch

from interp.analyses.attribution.loss_change_allocation import LossChangeAllocation
from interp.core.errors import ConfigError
from interp.plots import theme
from interp.plots.row_bars import signed_bars

UNIT = "share (nats/token)"
MOST_ROWS = 16
View = Literal["layers", "tensors", "heads", "neurons", "weights", "helping"]
VIEWS: tuple[View, ...] = get_args(View)


def figure(
    result: LossChangeAllocation, *, view: View = "layers", stretch: int | None = None
) -> go.Figure:
    """Shares by part; below zero, blue, the part lowered the loss.

    Args:
        result: of `interp.loss_change_allocation`.
        view: `layers`, `tensors` (those with the largest shares) or `helping` (the share of each
            tensor's weights that helped) by stretch; `heads`, `neurons`, `weights` of a stretch.
        stretch: number of the stretch; None = the sum over all, for weights the first.
    Raises:
        ConfigError: no such view or stretch.
    """
    theme.check_choice("view", view, VIEWS)
    count = len(result.stretches)
    if not (stretch is None or 0 <= stretch < count):
        raise ConfigError(f"stretch needs to be None or 0 to {count - 1}; got {stretch!r}.")
    drawing = {"heads": _heads, "neurons": _neurons, "weights": _weights}
    return drawing[view](result, stretch) if view in drawing else _by_stretch(result, view)


def _by_stretch(result: LossChangeAllocation, view: str) -> go.Figure:
    if view == "layers":
        values, names = result.by_layer, result.layers
    else:
        best = result.by_tensor.abs().sum(0).argsort(descending=True)[:MOST_ROWS].sort().values
        values = (result.helping_in - 0.5 if view == "helping" else result.by_tensor)[:, best]
        names = [result.tensors[i] for i in best.tolist()]
    figure = theme.heatmap(
        values.T,
        x=result.stretches,
        y=names,
        x_title="steps",
        y_title="layer" if view == "layers" else "tensor",
        unit="share of weights helping, less half" if view == "helping" else UNIT,
        diverging=True,
    )
    return figure.update_layout(margin_l=140)


def _one(result: LossChangeAllocation, values: torch.Tensor, stretch: int | None) -> tuple:
    """The numbers of one stretch, or their sum, and what to call it."""
    if stretch is None:
        return values.sum(0), f"steps {result.steps[0]}-{result.steps[-1]}"
    return values[stretch], f"steps {result.stretches[stretch]}"


def _heads(result: LossChangeAllocation, stretch: int | None) -> go.Figure:
    values, when = _one(result, result.by_head, stretch)
    return theme.heatmap(values, x_title="head", unit=UNIT, title=when, diverging=True)


def _neurons(result: LossChangeAllocation, stretch: int | None) -> go.Figure:
    """Every layer's neurons, sorted: a few carry most of it, or all a little."""
    values, when = _one(result, result.by_neuron, stretch)
    figure = theme.new_figure(
        x_title="neurons of the layer, sorted (%)", y_title=UNIT, title=when, height=360
    )
    for layer, row in enumerate(values):
        place = torch.linspace(0, 100, len(row))
        name = f"layer {layer}"
        theme.add_line(figure, place, row.sort().values, name=name, color=layer, markers=False)
    return figure


def _weights(result: LossChangeAllocation, stretch: int | None) -> go.Figure:
    number = stretch or 0
    return signed_bars(
        result.top[number],
        result.top_shares[number],
        unit=UNIT,
        title=f"the weights with the largest shares, steps {result.stretches[number]}",
    )
