"""What each head does for the answer: layers run down, heads run across, blue-red about zero."""

from typing import Literal, get_args

import plotly.graph_objects as go
from jaxtyping import Float
from torch import Tensor

from interp.analyses.attention_heads.head_ablation import HeadAblation
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
    figure = theme.heatmap(
        values,
        x_title="head",
        unit=UNIT,
        title=_title(result, control),
        diverging=True,
        high=max(float(result.change.abs().max()), 0.01),
        height=150 + 34 * layers,
    )
    words = [[_words(result, layer, head) for head in range(heads)] for layer in range(layers)]
    figure.update_traces(customdata=words, hovertemplate="%{customdata}<extra></extra>")
    if values.numel() <= MOST_NUMBERS:
        figure.update_traces(texttemplate="%{z:+.2f}", textfont={"size": 11})
    return figure


def _values(result: HeadAblation, control: str) -> Float[Tensor, "layer head"]:
    if not control:
        return result.change
    measured = [name for name in CONTROLS[1:] if len(getattr(result, name))]
    theme.check_choice("control", control, measured)
    return getattr(result, control).mean(0)


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
