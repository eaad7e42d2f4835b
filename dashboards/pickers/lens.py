"""The widgets of the logit lens: colour, tracked token, cell; a click in the grid moves them."""

import streamlit as st

from dashboards.components.lens import GridCell
from dashboards.pickers.choice import listed_choice
from dashboards.pickers.words import one_word
from interp.analyses.lenses.logit_lens import LogitLens
from interp.core.protocols import LanguageModel
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


def followed_word(model: LanguageModel) -> str:
    """The token to track through the layers; empty = none."""
    help_text = "One token, with or without the space before it. Underlined where it is on top."
    options = {"max_chars": 40, "placeholder": "one token", "help": help_text}
    return one_word(model, "Track a token", "follow", **options)


def metric_choice(follows: bool) -> Metric:
    """The number that colours the cells."""
    return listed_choice("Colour", METRICS | (FOLLOWED if follows else {}), "lens_colour")


def cell_choice(result: LogitLens) -> GridCell:
    """The picked cell; at first the final prediction at the last token."""
    # The last ones come first: only with the first option as the default do clicks and links agree.
    rows = {row: result.row_names[row] for row in reversed(range(len(result.kl)))}
    places = {pos: f"{pos}: {result.tokens[pos]}" for pos in reversed(range(len(result.tokens)))}
    layer = listed_choice("Layer", rows, ROW)
    return GridCell(layer=layer, pos=listed_choice("Position", places, POS))


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
    words = {first: f"{first} to {min(first + count, length) - 1}" for first in starts}
    return st.select_slider("Positions shown", starts, starts[part], words.get), count
