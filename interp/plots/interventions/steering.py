"""Dose and response: what steering gains above, what it breaks below, random directions behind."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.plots.theme import CONTROL, add_band, add_line, curve, label, style

if TYPE_CHECKING:
    from interp.analyses.interventions.steering import Steering

PANELS = (
    ("rate", "rate of '{}'"),
    ("well_formed", "well-formed sentences (share)"),
    ("loss_nats_per_token", "loss under the unedited model (nats a token)"),
    ("kl_nats_per_token", "KL to the unedited model (nats a token)"),
    ("consistent", "true sentences (share)"),
    ("repetition", "repeated trigrams (share)"),
)
SHARES = {"rate", "well_formed", "consistent", "repetition"}


def figure(result: "Steering", *, panels: int = 4) -> go.Figure:
    """Draw a dose sweep.

    Args:
        result: of `interp.steering`.
        panels: how many measures to show, the gain first; at most 6.
    """
    known = [(name, title) for name, title in PANELS if _is_known(result, name)][:panels]
    rows = -(-len(known) // 2)
    titles = [label(title.format(result.word), 60) for _, title in known]
    figure = make_subplots(
        rows=rows, cols=2, subplot_titles=titles, vertical_spacing=0.24 / rows + 0.04
    )
    style(figure, height=270 * rows + 70)
    for i, (name, _) in enumerate(known):
        place = {"row": i // 2 + 1, "col": i % 2 + 1}
        _panel(figure, result, name, place, first=i == 0)
        if i + 2 >= len(known):
            figure.update_xaxes(title_text="dose (shares of the site's median norm)", **place)
    figure.update_layout(legend={"y": 1.0 + 0.14 / rows}, margin={"t": 84})
    return figure.update_annotations(font_size=13)


def _is_known(result: "Steering", name: str) -> bool:
    return any(interval.value == interval.value for interval in result.measures[name])


def _panel(
    figure: go.Figure, result: "Steering", name: str, place: dict[str, int], *, first: bool
) -> None:
    spread = result.random[name]
    low, high = result.band(name)
    doses = [dose for dose, end in zip(result.doses, low.tolist(), strict=True) if end == end]
    low, high = low[~low.isnan()], high[~high.isnan()]
    random_name = f"{spread.shape[1]} random directions, lowest to highest"
    add_band(figure, doses, low, high, color=CONTROL, name=random_name, legend=first, **place)
    lines = [(f"'{result.word}'", result.measures[name], True)]
    lines += [("logit bias of the word", result.bias.get(name, ()), False)]
    for number, (title, intervals, with_ends) in enumerate(lines):
        points = [
            (x, y) for x, y in zip(result.doses, intervals, strict=False) if y.value == y.value
        ]
        if not points:
            continue
        line = curve([interval for _, interval in points])
        line = line if with_ends else {"y": line["y"]}
        xs = [dose for dose, _ in points]
        add_line(figure, xs, **line, name=title, color=number, legend=first, **place)
    if result.best >= 0:
        figure.add_vline(
            x=result.doses[result.best], line={"color": CONTROL, "width": 1, "dash": "dot"}, **place
        )
    if name in SHARES:
        figure.update_yaxes(range=[-0.03, 1.06], **place)
