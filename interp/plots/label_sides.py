"""Where the labels of points can stand so that none meets another."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

SIDES = ("top center", "bottom center", "middle right", "middle left")
LETTER, LINE, POINT = 5.2, 11.0, 4.0
"""Pixels: width of a letter and height of a line in the labels' font, half the size of a point."""
Box = tuple[float, float, float, float]


def label_sides(
    points: Float[np.ndarray, "n 2"], labels: Sequence[str], size: tuple[float, float]
) -> list[str]:
    """A side for each label at which it meets no point and no label before it; "" for none.

    Args:
        points: where each point lies, in shares of the panel.
        labels: each point's label.
        size: width and height of the panel in pixels.
    Returns:
        plotly's `textposition` of each, or "" where the label must be left to the hover.
    """
    places = np.asarray(points, dtype=float) * np.asarray(size)
    taken = [(x - POINT, y - POINT, x + POINT, y + POINT) for x, y in places]
    sides = []
    for i, (x, y) in enumerate(places):
        others = taken[:i] + taken[i + 1 :]
        boxes = ((side, _box(x, y, side, labels[i])) for side in SIDES)
        side, box = next((each for each in boxes if not _meets(each[1], others)), ("", None))
        if box is not None:
            taken.append(box)
        sides.append(side)
    return sides


def _box(x: float, y: float, side: str, label: str) -> Box:
    width, gap = len(label) * LETTER, POINT + 1
    up, across = side.split()
    left = {"left": x - gap - width, "center": x - width / 2, "right": x + gap}[across]
    low = {"top": y + gap, "middle": y - LINE / 2, "bottom": y - gap - LINE}[up]
    return left, low, left + width, low + LINE


def _meets(box: Box, others: Sequence[Box]) -> bool:
    return any(
        box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
        for other in others
    )
