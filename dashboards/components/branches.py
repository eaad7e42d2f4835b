"""The tree of branches of a text: a row a piece; a click goes to its end."""

from collections.abc import Callable, Sequence
from typing import Any

from dashboards.components import component


def tree(rows: Sequence[dict[str, Any]], *, key: str, on_go: Callable[[], None]) -> None:
    """Draw the rows.

    Args:
        rows: `depth` (forks before it), `text`, `odds`, `path` (what comes back), `here`, `on` (on
            the way to where the reader stands), `label` for those who cannot see it; raw words.
        key: unique on the page. The session's state holds under it `went`: a count and the path
            of the row that was clicked.
        on_go: called after a click.
    """
    component("branches")(key=key, data={"rows": list(rows)}, on_went_change=on_go)
