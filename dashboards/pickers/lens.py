"""The widgets of the lens: colour, followed word, chosen cell; a click in the grid moves them."""

import streamlit as st

from dashboards.components.lens import GridCell
from dashboards.page.header import LINK
from interp.analyses.lenses.logit_lens import LogitLens
from interp.plots.lenses.logit_lens import Metric

GRID, ROW, POS = "lens_grid", "lens_row", "lens_pos"
METRICS: dict[Metric, str] = {
    "probability": "Probability of the best token",
    "answer_rank": "Rank of the final answer",
    "entropy": "Entropy",
    "kl": "Distance from the final answer (KL)",
}
FOLLOWED: dict[Metric, str] = {
    "target": "Probability of the followed word",
    "rank": "Rank of the followed word",
}
MOST_CELLS = 3600


def followed_word() -> str:
    """The word to follow through the layers; empty = none."""
    return st.text_input(
        "Follow a word",
        key="follow",
        max_chars=40,
        help="One token, mostly with a space before it. Underlined where it leads the candidates.",
        placeholder="one token",
        **LINK,
    )


def metric_choice(follows: bool) -> Metric:
    """What colours the cells."""
    offered = METRICS | (FOLLOWED if follows else {})
    if st.session_state.get("lens_colour", "probability") not in offered:
        del st.session_state["lens_colour"]
    return st.selectbox("Colour", list(offered), 0, offered.get, key="lens_colour", **LINK)


def cell_choice(result: LogitLens) -> GridCell:
    """The chosen cell: the model's answer at the end of the text until another is picked."""
    # The last ones come first, for a first option as the default agrees with clicks and links.
    rows, places = range(len(result.kl))[::-1], range(len(result.tokens))[::-1]
    for key, there in ((ROW, rows), (POS, places)):
        if st.session_state.get(key, there[0]) not in there:
            del st.session_state[key]
    layer = st.selectbox("Layer", rows, 0, lambda row: result.row_names[row], key=ROW, **LINK)
    pos = st.selectbox(
        "Position", places, 0, lambda at: f"{at}: {result.tokens[at]}", key=POS, **LINK
    )
    return GridCell(layer=layer, pos=pos)


def follow_click() -> None:
    """A cell was picked in the grid: the widgets say it too."""
    layer, pos = st.session_state[GRID].get("cell") or (0, 0)
    st.session_state[ROW], st.session_state[POS] = int(layer), int(pos)


def window(result: LogitLens, chosen: GridCell) -> tuple[int, int]:
    """The first position that is drawn and how many: all, or, of a long text, a part to choose."""
    length, count = len(result.tokens), max(1, MOST_CELLS // len(result.kl))
    if length <= count:
        return 0, length
    st.info(
        f"{len(result.kl)} rows × {length} positions are more than {MOST_CELLS:,} cells, so "
        f"{count} positions are drawn at a time. The table and the downloads have all.",
        icon=":material/content_cut:",
    )
    starts = list(range(0, length, count))
    at = chosen.pos // count
    return st.select_slider(
        "Positions drawn",
        starts,
        starts[at],
        lambda first: f"{first} to {min(first + count, length) - 1}",
    ), count
