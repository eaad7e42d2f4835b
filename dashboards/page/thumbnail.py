"""A figure as small as a stamp: its shapes and colours, no words and nothing to press."""

import plotly.graph_objects as go
import streamlit as st
from plotly.basedatatypes import BaseTraceType

from dashboards.page.dark_mode import is_dark, on_dark
from interp.report.parts import FigurePart

HEIGHT = 150
MARGIN = {"l": 6, "r": 6, "t": 6, "b": 6}
MOST_KEPT = 64


def miniature(part: FigurePart) -> None:
    """Draw it.

    Raises:
        ConfigError: the figure cannot be drawn with its options.
    """
    words = f"A small picture of: {part.title or part.result.provenance.instrument}"
    st.plotly_chart(
        _drawn(part.number, is_dark(), part),
        theme=None,
        height=HEIGHT,
        config={"staticPlot": True, "displayModeBar": False},
        key=f"miniature_{part.number}",
        alt=f"{words}. {part.result.finding()}",
    )


@st.cache_resource(max_entries=MOST_KEPT, show_spinner=False)
def _drawn(number: int, dark: bool, _part: FigurePart) -> go.Figure:
    figure = go.Figure(_part.figure.to_plotly_json())
    bare = {"title": None, "showticklabels": False, "ticks": "", "automargin": False}
    figure.update_xaxes(**bare).update_yaxes(**bare)
    figure.update_layout(
        title_text="", height=HEIGHT, width=None, margin=MARGIN, showlegend=False, annotations=[]
    )
    figure.for_each_trace(_without_words)
    return on_dark(figure) if dark else figure


def _without_words(trace: BaseTraceType) -> None:
    """Words and scales would be too small to read."""
    known = set(trace._valid_props)
    changes = {
        "showscale": {"showscale": False},
        "text": {"text": None},
        "texttemplate": {"texttemplate": None},
        "marker": {"marker_showscale": False} if trace.type in ("bar", "scatter") else {},
    }
    for name, change in changes.items():
        if name in known:
            trace.update(change)
    if "mode" in known and "text" in (trace.mode or ""):
        trace.mode = "markers"
