"""Characters to tokens: where a span of text lies in a row of tokens."""

from collections.abc import Iterable, Sequence

import numpy as np

from interp.core.errors import TokenError

Span = tuple[int, int]


def token_range(spans: Sequence[Span], span: Span) -> tuple[int, int]:
    """The first and the last token (both included) that hold a character of `span`.

    Args:
        spans: the characters of each token, as `Tokenizer.encode_with_spans` gives them.
        span: characters, from the first to one after the last.
    Raises:
        TokenError: the span is empty, or no token holds any of it.
    Example:
        >>> token_range([(0, 0), (0, 4), (4, 9), (9, 10)], (5, 9))
        (2, 2)
    """
    start, end = span
    tokens = [i for i, (low, high) in enumerate(spans) if low < end and start < high]
    if end <= start or not tokens:
        last = max((high for _, high in spans), default=0)
        raise TokenError(
            f"A span must hold at least one character of the {last} that are tokenized; "
            f"{start}:{end} does not. Take the span from the same text as the tokens."
        )
    return tokens[0], tokens[-1]


def last_token(spans: Sequence[Span], span: Span) -> int:
    """The token that ends `span`: the first position at which a reader can know all of it.

    Raises:
        TokenError: the span is empty, or no token holds any of it.
    """
    return token_range(spans, span)[1]


def choice_nats_per_token(
    text: str, spans: Sequence[Span], choices: Iterable[tuple[int, int, float]]
) -> list[float]:
    """Each token's share of what the text's choices cost; the sum over tokens is exact.

    A choice is charged to the token that holds its first character that is no space, for that is
    where it is revealed. A choice with an empty span at the text's end (to stop there) is left out.

    Args:
        text: the text that was tokenized.
        spans: the characters of each token.
        choices: start, end and surprisal in nats of each choice.
    Returns:
        Nats, one a token.
    """
    nats = [0.0] * len(spans)
    ends = np.array([end for _, end in spans])
    for start, end, cost in choices:
        if start < end:
            nats[int(np.searchsorted(ends, first_shown(text, start, end), side="right"))] += cost
    return nats


def first_shown(text: str, start: int, end: int) -> int:
    """The first character in `start:end` that is no white space, or `start` when all are."""
    return next((i for i in range(start, end) if not text[i].isspace()), start)
