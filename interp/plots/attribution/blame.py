"""Where a mistake sits in the weights: by tensor, layer, head, neuron, token, single weight."""

from typing import Literal, get_args

import plotly.graph_objects as go
import torch

from interp.analyses.attribution.blame import MEASURES, Blame
from interp.core.errors import ConfigError
from interp.plots import theme
from interp.plots.row_bars import signed_bars

UNITS = {
    "gradient": "length of the gradient (nats/unit)",
    "gradient_times_weight": "gradient times weight (nats)",
    "path": "share of the change (nats)",
}
View = Literal["heads", "layers", "tensors", "neurons", "tokens", "weights"]
Measure = Literal["gradient", "gradient_times_weight", "path"]
VIEWS: tuple[View, ...] = get_args(View)
MOST_ROWS = 16


def figure(result: Blame, *, view: View = "tensors", measure: Measure = "gradient") -> go.Figure:
    """One measure by one kind of part; above zero, the part raises the right answer's loss.

    Args:
        result: of `interp.blame`.
        view: `tensors`, `layers`, `heads`, `neurons`, `tokens` or `weights`.
        measure: `gradient`, `gradient_times_weight` or `path`.
    Raises:
        ConfigError: no such view or measure, or there is no path.
    """
    theme.check_choice("view", view, VIEWS)
    theme.check_choice("measure", measure, MEASURES)
    if measure == "path" and result.first_step is None:
        raise ConfigError(
            "A path needs an earlier checkpoint and path=True; this result has none. Open a run, "
            "or choose another measure."
        )
    number, unit = MEASURES.index(measure), UNITS[measure]
    if view == "heads":
        values = result.by_head[number]
        return theme.heatmap(values, x_title="head", unit=unit, diverging=number > 0)
    names, values = _listed(result, view, number)
    figure = signed_bars(names, values, unit=unit)
    # A length has no side, so it must not wear the colour of what raises the loss.
    is_length = number == 0 and view != "weights"
    return figure.update_traces(marker_color=theme.CONTROL) if is_length else figure


def _listed(result: Blame, view: str, number: int) -> tuple[tuple[str, ...], torch.Tensor]:
    if view == "layers":
        return result.layers, result.by_layer[number]
    if view == "tokens":
        return result.vocabulary[number], result.by_vocabulary[number]
    if view == "weights":
        return result.weights[number], result.by_weight[number]
    if view == "neurons":
        return _neurons(result.by_neuron[number])
    best = result.by_tensor[number].abs().argsort(descending=True)[:MOST_ROWS]
    return tuple(result.tensors[i] for i in best.tolist()), result.by_tensor[number, best]


def _neurons(values: torch.Tensor) -> tuple[tuple[str, ...], torch.Tensor]:
    """The neurons that count most, as `layer.neuron`."""
    best = values.flatten().abs().topk(min(MOST_ROWS, values.numel())).indices
    width = max(values.shape[1], 1)
    names = tuple(f"neuron {i // width}.{i % width}" for i in best.tolist())
    return names, values.flatten()[best]
