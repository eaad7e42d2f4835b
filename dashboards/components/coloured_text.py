"""A text that flows as text, its tokens coloured by a number each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from dashboards.components import component
from dashboards.components.colours import legend, limits, quantised

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

MOST_TOKENS = 4000


def coloured_text(
    tokens: Sequence[str],
    values: "Tensor | ArrayLike",
    *,
    labels: Sequence[str],
    scale: Literal["sequential", "diverging"] = "sequential",
    low: float | None = None,
    high: float | None = None,
    unit: str,
    key: str,
    name: str = "Text",
    show_legend: bool = True,
) -> None:
    """Draw tokens as running text, coloured by their values; pointer and arrow keys tell more.

    Args:
        tokens: as `tokenizer.display` writes them (`·` for a space, `⏎` for a new line), raw:
            nothing in them is read as markup. Those after the first 4,000 are left out, and said
            to be.
        values: one number a token; nan = no colour.
        labels: what is shown of each token under the pointer or the keyboard, raw text; lines are
            parted by new lines, columns within a line by tabs.
        scale: `sequential` from page colour to blue; `diverging` blue - page - orange about 0.
        low: bottom of the scale; the lowest value (at most 0) when None. Of a diverging scale only
            the larger of |low| and |high| counts.
        high: top of the scale; the highest value when None.
        unit: what the colours say, with the unit: `loss (nats)`.
        key: unique on the page.
        name: of the text, for those who cannot see it.
        show_legend: draw the colour bar; two texts of one scale need but one.
    Example:
        >>> coloured_text(
        ...     ["·a", "·cat"], [0.1, 2.0], labels=["·a\\nloss\\t0.1", "·cat\\nloss\\t2.0"],
        ...     unit="loss (nats)", key="story",
        ... )  # doctest: +SKIP
    """
    span = slice(MOST_TOKENS)
    low, high = limits(values, scale, low, high)
    left_out = len(tokens) - MOST_TOKENS
    component("coloured_text")(
        key=key,
        data={
            "name": name,
            "tokens": [flowing(token) for token in tokens[span]],
            "labels": list(labels[span]),
            "steps": quantised(values[span], low, high),
            "note": f"The first {MOST_TOKENS:,} tokens; {left_out:,} more are not drawn."
            if left_out > 0
            else "",
            "legend": legend(scale, low, high, unit) | {"show": show_legend},
        },
    )


def flowing(token: str) -> str:
    """A displayed token as it stands in running text: spaces are spaces, new lines break.

    Example:
        >>> flowing("·cat"), flowing("⏎")
        (' cat', '⏎\\n')
    """
    return token.replace("·", " ").replace("⏎", "⏎\n")
