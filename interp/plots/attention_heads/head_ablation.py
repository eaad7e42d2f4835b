"""What each head does for the answer: layers run down, heads run across, blue-red about zero."""

from typing import Literal, get_args

import plotly.graph_objects as go
from jaxtyping import Float
from torch import Tensor

from interp.analyses.attention_heads.head_ablation import HeadAblation
from interp.core.errors import ConfigError
from interp.plots import theme

UNIT = "loss change (nats)"
MOST_NUMBERS = 64
Control = Literal["", "untrained", "shuffled"]
CONTROLS: tuple[Control, ...] = get_args(Control)


def figure(result: HeadAblation, *, control: Control = "") -> go.Figure:
    """The change of the answer's loss without each head; hover tells the controls.

    Args:
        result: of `interp.head_ablation`.
        control: instead, the mean of `untrained` or `shuffled`, in the same colours.
    Raises:
        ConfigError: no such control, or the result was made without it.
    """
    values = _values(result, control)
    layers, heads = values.shape
    bound = max(float(result.change.abs().max()), 0.01)
    trace = theme.heatmap_trace(
        values,
        x=[str(head) for head in range(heads)],
        y=[str(layer) for layer in range(layers)],
        x_title="head",
        y_title="layer",
        unit=UNIT,
        diverging=True,
        high=bound,
    )
    words = [[_words(result, layer, head) for head in range(heads)] for layer in range(layers)]
    trace.update(customdata=words, hovertemplate="%{customdata}<extra></extra>")
    if values.numel() <= MOST_NUMBERS:
        trace.update(texttemplate="%{z:+.2f}", textfont={"size": 11})
    figure = theme.new_figure(
        x_title="head", y_title="layer", title=_title(result, control), height=150 + 34 * layers
    )
    figure.add_trace(trace)
    theme.label_axis(figure, [str(head) for head in range(heads)], axis="x")
    return theme.label_axis(figure, [str(layer) for layer in range(layers)], axis="y", down=True)


def _values(result: HeadAblation, control: str) -> Float[Tensor, "layer head"]:
    if control not in CONTROLS or (control and not len(getattr(result, control))):
        there = [name for name in CONTROLS[1:] if len(getattr(result, name))]
        raise ConfigError(
            f"control needs to be one of {', '.join(there) or 'none'}; got {control!r}."
        )
    return getattr(result, control).mean(0) if control else result.change


def _title(result: HeadAblation, control: str) -> str:
    where = {"": "", "untrained": ", untrained models", "shuffled": ", words in random order"}
    return f"loss of {theme.label(repr(result.answer))} without each head{where[control]}"


def _words(result: HeadAblation, layer: int, head: int) -> str:
    lines = [f"head {layer}.{head}", f"{result.change[layer, head]:+.4f} nats without it"]
    for name in CONTROLS[1:]:
        values = getattr(result, name)
        if len(values):
            lines.append(f"{name}: {values[:, layer, head].mean():+.4f} (n = {len(values)})")
    return "<br>".join(lines)
