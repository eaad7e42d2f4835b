"""Clauses of Where: absolute positions, whatever the padding and the pass."""

import pytest
import torch

from interp.core.errors import ConfigError
from interp.core.positions import EditContext, Where

TOKENS = torch.tensor([[0, 0, 5, 6, 7, 8], [1, 2, 3, 5, 6, 7]])
MASK = torch.tensor([[False, False, True, True, True, True], [True] * 6])
LENGTHS = torch.tensor([2, 4])
WHERES = {
    "all": (Where(), {1, 2, 3}, {1, 2, 3, 4, 5}),
    "bos": (Where(bos=True), {0, 1, 2, 3}, {0, 1, 2, 3, 4, 5}),
    "prompt": (Where(span="prompt"), {1}, {1, 2, 3}),
    "generated": (Where(span="generated"), {1, 2, 3}, {3, 4, 5}),
    "range": (Where(start=2, stop=4), {2, 3}, {2, 3}),
    "stop from the prompt's end": (Where(stop=-1), set(), {1, 2}),
    "positions": (Where(positions=[0, 3, 9]), {0, 3}, {0, 3}),
    "last of the prompt": (Where(positions=(-1,)), {1}, {3}),
    "no position": (Where(positions=()), set(), set()),
    "tokens": (Where(tokens={5, 7}), {2}, {3, 5}),
    "the first token": (Where(tokens={1, 5}, bos=True), {0}, {0, 3}),
    "two clauses": (Where(span="generated", tokens=[6, 7], stop=5), {1, 2}, {4}),
}


@pytest.mark.parametrize("name", WHERES)
def test_a_clause_chooses_what_it_says(name: str) -> None:
    where, *wanted = WHERES[name]
    chosen = where.chosen(EditContext.of(TOKENS, MASK, LENGTHS))
    pads = [2, 0]
    positions = [{int(i) - pads[r] for i in chosen[r].nonzero()} for r in range(2)]
    assert positions == wanted


@pytest.mark.parametrize("name", WHERES)
def test_column_by_column_it_chooses_the_same(name: str) -> None:
    where = WHERES[name][0]
    whole = where.chosen(EditContext.of(TOKENS, MASK, LENGTHS))
    columns = [
        where.chosen(EditContext.of(TOKENS[:, i : i + 1], MASK[:, : i + 1], LENGTHS))
        for i in range(6)
    ]
    assert torch.equal(torch.cat(columns, 1), whole)


def test_an_unknown_span_is_refused() -> None:
    with pytest.raises(ConfigError, match="generated"):
        Where(span="future")
