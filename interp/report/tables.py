"""Data tables as text: the first rows, numbers to four digits, and how many rows there are."""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from interp.core.display import printable

if TYPE_CHECKING:
    import pandas as pd

LONGEST_CELL = 240


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of text for the page.

    Attributes:
        columns: headings.
        rows: the rows that are shown.
        numeric: which columns hold numbers (set flush right).
        total: rows of the whole table.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    total: int


def text_table(frame: "pd.DataFrame", most: int) -> Table:
    """The first `most` rows of a frame as text."""
    rows = frame.head(most)
    return Table(
        columns=tuple(map(str, frame.columns)),
        rows=tuple(tuple(map(cell, row)) for row in rows.itertuples(index=False, name=None)),
        numeric=tuple(kind.kind in "iufb" for kind in frame.dtypes),
        total=len(frame),
    )


def cell(value: Any) -> str:
    """One value: four digits for real numbers, nothing for what is missing.

    Example:
        >>> cell(0.123456), cell(12), cell(None), cell(True)
        ('0.1235', '12', '', 'yes')
    """
    if value is None or value != value:
        return ""
    if isinstance(value, Integral | Real) and type(value).__name__ in ("bool", "bool_"):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        return f"{float(value):.4g}"
    text = printable(str(value))
    return text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 1]}…"
