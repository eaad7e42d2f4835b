"""Spans of characters find their tokens under any tokenizer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.core.alignment import choice_nats_per_token, last_token, token_range
from interp.core.errors import TokenError
from interp.models.tokenizer import Tokenizer

TEXT = "Anna is in the garden. Élodie sees the ☃ there."
TOKENIZERS = [
    Tokenizer.words([TEXT]),
    Tokenizer.characters([TEXT]),
    Tokenizer.bytes_bpe([TEXT] * 9, d_vocab=280),
]


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@settings(max_examples=100, deadline=None)
@given(cut=st.tuples(st.integers(0, len(TEXT)), st.integers(0, len(TEXT))))
def test_the_range_holds_the_span_and_no_token_more(tokenizer, cut):
    start, end = min(cut), max(cut)
    ids, spans = tokenizer.encode_with_spans(TEXT)
    if start == end:
        with pytest.raises(TokenError, match="at least one character"):
            token_range(spans, (start, end))
        return
    first, last = token_range(spans, (start, end))
    assert spans[first][0] <= start < spans[first][1]
    assert spans[last][0] < end <= spans[last][1]
    assert last_token(spans, (start, end)) == last
    assert spans[0] == (0, 0) and first > 0
    assert len(ids) == len(spans)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_no_cost_is_lost(tokenizer):
    _, spans = tokenizer.encode_with_spans(TEXT)
    choices = [(0, 4, 0.5), (14, 21, 1.25), (22, 29, 2.0), (38, 40, 0.25), (47, 47, 9.0)]
    nats = choice_nats_per_token(TEXT, spans, choices)
    assert sum(nats) == 4.0
    assert nats[token_range(spans, (15, 16))[0]] == 1.25, "not at the space before it"
    assert nats[0] == 0.0
