"""The lens hands the browser the result's own numbers, cell by cell, and the marks of a word."""

import json
from base64 import b64decode

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboards.components.lens import GridCell, candidates
from interp.analyses.lenses.logit_lens import logit_lens
from tests.analyses.handmade import induction_model

PROMPT = "ant bee cat ant bee"


@pytest.fixture(scope="module")
def result():
    return logit_lens(induction_model(), PROMPT, targets=[" cat"], k=3, untrained=False)


def drawn(result, **options):
    """What the component gets, as JSON."""

    def script(result, options):
        from dashboards.components import lens

        lens.draw(result, **options)

    usual = {
        "beside": (result,), "metric": "probability", "first": 0, "count": len(result.tokens),
        "key": "lens_grid", "on_change": int,
    }  # fmt: skip
    arguments = (result, {**usual, **options})
    test = AppTest.from_function(script, args=arguments, default_timeout=300).run()
    assert not test.exception
    return json.loads(test.get("bidi_component")[0].proto.json)


def numbers(data, name, kind):
    return np.frombuffer(b64decode(data[name]), kind).reshape(len(data["rows"]), -1)


def test_every_cell_has_its_best_token_and_its_number(result):
    data = drawn(result, cell=GridCell(layer=1, pos=2), metric="entropy")
    assert data["columns"] == list(result.tokens) and data["rows"] == list(result.row_names)
    best = numbers(data, "best", "<u2")
    names = [[data["names"][number] for number in row] for row in best]
    assert names == [[cell[0] for cell in row] for row in result.top_tokens]
    np.testing.assert_allclose(numbers(data, "numbers", "<f4"), result.entropy_bits)
    assert data["chosen"] == [1, 2] and data["legend"]["unit"] == "entropy (bits)"


def test_a_rank_is_read_out_as_a_rank_and_a_followed_word_as_a_probability(result):
    data = drawn(result, cell=GridCell(layer=0, pos=0), metric="answer_rank")
    np.testing.assert_allclose(numbers(data, "numbers", "<f4"), result.answer_ranks)
    assert data["legend"]["high"] == str(result.answer_ranks.max().item())
    data = drawn(result, cell=GridCell(layer=0, pos=0), metric="target")
    np.testing.assert_allclose(
        numbers(data, "numbers", "<f4"), result.log_probs[:, :, 0].exp(), rtol=1e-5
    )


def test_cells_are_marked_where_the_followed_word_leads_or_is_among_the_candidates(result):
    data = drawn(result, cell=GridCell(layer=0, pos=0))
    marks, ranks = numbers(data, "marks", "u1"), result.ranks[:, :, 0].numpy()
    assert ((marks == 2) == (ranks == 0)).all() and marks[-1, -1] == 2
    assert ((marks == 1) == ((ranks > 0) & (ranks < 3))).all()


def test_a_part_of_a_long_text_keeps_its_places(result):
    data = drawn(result, cell=GridCell(layer=2, pos=3), first=2, count=2)
    assert data["first"] == 2 and data["columns"] == list(result.tokens[2:4])
    np.testing.assert_allclose(
        numbers(data, "numbers", "<f4"), result.top_log_probs[:, 2:4, 0].exp(), rtol=1e-5
    )


def test_the_candidates_are_those_of_the_cell(result):
    data = candidates(result, GridCell(layer=2, pos=5))
    assert [token for token, _ in data["rows"]] == list(result.top_tokens[2][5])
    chances = [chance for _, chance in data["rows"]]
    assert chances == pytest.approx(result.top_log_probs[2, 5].exp().tolist())
    assert data["title"] == "Raw lens" and ["its rank here", "0"] in data["about"]
    assert data["about"][-1][0] == "·cat"
