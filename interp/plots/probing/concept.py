"""Held-out examples along a concept's direction."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from interp.plots.theme import CATEGORICAL, CONTROL, label, new_figure

if TYPE_CHECKING:
    from interp.analyses.probing.concept import Concept


def figure(result: "Concept") -> go.Figure:
    """Histograms of the positive and the other examples.

    Args:
        result: of `interp.concept`.
    """
    figure = new_figure(
        x_title="projection (shares of the site's median norm)", y_title="share of examples"
    )
    for flag, name, paint in ((False, "others", CONTROL), (True, result.name, CATEGORICAL[0])):
        figure.add_trace(
            go.Histogram(
                x=result.projections[result.positive == flag].numpy(),
                name=label(name, 60),
                histnorm="probability",
                nbinsx=40,
                opacity=0.65,
                marker={"color": paint},
                hovertemplate=f"{label(name, 60)}<br>%{{x}}: %{{y:.2f}}<extra></extra>",
            )
        )
    return figure.update_layout(barmode="overlay")
