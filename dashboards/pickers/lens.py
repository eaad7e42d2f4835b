"""The widgets of the logit lens: colour, tracked token, cell; a click in the grid moves them."""

import streamlit as st

from dashboards.components.lens import GridCell
from dashboards.page.header import LINK
from interp.analyses.lenses.logit_lens import LogitLens
from interp.plots.lenses.logit_lens import Metric

GRID, ROW, POS = "lens_grid", "lens_row", "lens_pos"
METRICS: dict[Metric, str] = {
    "probability": "Probability of the top token",
    "answer_rank": "Rank of the final prediction",
    "entropy": "Entropy",
    "kl": "KL from the final prediction",
}
FOLLOWED: dict[Metric, str] = {
    "target": "Probability of the tracked token",
    "rank": "Rank of the tracked token",
}
MOST_CELLS = 3600


def followed_word() -> str:
    """The token to track through the layers; empty = none."""
    return st.text_input(
        "Track a token",
        key="follow",
        max_chars=40,
        help="One token, usually with a space before it. Underlined where it is the top token.",
        placeholder="one token",
        **LINK,
    )


def metric_choice(follows: bool) -> Metric:
    """The number that colours the cells."""
    metrics = METRICS | (FOLLOWED if follows else {})
    if st.session_state.get("lens_colour", "probability") not in metrics:
        del st.session_state["lens_colour"]
    return st.selectbox("Colour", list(metrics), 0, metrics.get, key="lens_colour", **LINK)


def cell_choice(result: LogitLens) -> GridCell:
    """The picked cell; at first the final prediction at the last token."""
    # The last ones come first: only with the first option as the default do clicks and links agree.
    rows, places = range(len(result.kl))[::-1], range(len(result.tokens))[::-1]
    for key, options in ((ROW, rows), (POS, places)):
        if st.session_state.get(key, options[0]) not in options:
            del st.session_state[key]
    layer = st.selectbox("Layer", rows, 0, lambda row: result.row_names[row], key=ROW, **LINK)
    pos = st.selectbox(
        "Position",
        places,
        0,
        lambda position: f"{position}: {result.tokens[position]}",
        key=POS,
        **LINK,
    )
    return GridCell(layer=layer, pos=pos)


def follow_click() -> None:
    """A cell was picked in the grid: set the widgets to it."""
    layer, pos = st.session_state[GRID].get("cell") or (0, 0)
    st.session_state[ROW], st.session_state[POS] = int(layer), int(pos)


def window(result: LogitLens, cell: GridCell) -> tuple[int, int]:
    """The first position that is drawn and how many: all, or a chosen window of a long text."""
    length, count = len(result.tokens), max(1, MOST_CELLS // len(result.kl))
    if length <= count:
        return 0, length
    st.info(
        f"{len(result.kl)} rows × {length} positions are more than {MOST_CELLS:,} cells, so "
        f"{count} positions are drawn at a time. The table and the downloads hold all of them.",
        icon=":material/content_cut:",
    )
    starts = list(range(0, length, count))
    part = cell.pos // count
    return st.select_slider(
        "Positions shown",
        starts,
        starts[part],
        lambda first: f"{first} to {min(first + count, length) - 1}",
    ), count
