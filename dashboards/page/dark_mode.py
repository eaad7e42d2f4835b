"""A figure's colours on a dark page."""

import re
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from interp.plots.theme import DARK

COLOUR = re.compile(r"^#[0-9a-f]{6}$|(?<=color:)#[0-9a-f]{6}", re.IGNORECASE)


def is_dark() -> bool:
    """Whether the reader's page is dark."""
    return st.context.theme.type == "dark"


def on_dark(figure: go.Figure) -> go.Figure:
    """The same figure with the colours that the house theme names for a dark page."""
    return go.Figure(_recoloured(figure.to_plotly_json()))


def _recoloured(value: Any) -> Any:
    if isinstance(value, str):
        # Also in the middle of a label: a legend that is written into a title colours its words.
        return COLOUR.sub(lambda colour: DARK.get(colour[0].lower(), colour[0]), value)
    if isinstance(value, dict):
        return {key: _recoloured(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_recoloured(item) for item in value]
    return value
