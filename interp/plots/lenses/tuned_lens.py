"""How much nearer to the final distribution the tuned lens reads, layer by layer."""

import plotly.graph_objects as go

from interp.analyses.lenses.tuned_lens import TunedLens
from interp.plots import theme


def figure(result: TunedLens) -> go.Figure:
    """Held-out KL of the tuned lens and of the raw lens, a row of the stream, with intervals.

    Args:
        result: of `interp.tuned_lens`.
    """
    rows = list(result.row_names)
    figure = theme.new_figure(
        x_title="residual stream", y_title="KL(final || row), held out (nats per token)"
    )
    places = list(range(len(rows)))
    for color, (name, intervals) in enumerate((("tuned", result.kl_tuned), ("raw", result.kl_raw))):
        theme.add_line(
            figure, places, **theme.curve(intervals), name=f"{name} lens", color=color, words=rows
        )
    figure.update_xaxes(**theme.named_ticks(rows))
    figure.update_yaxes(rangemode="tozero")
    theme.add_level(figure, result.kl_unigram.value, name="one distribution for every position")
    return figure
