"""Attention weights are a distribution over the past, and the weighted view is what is written."""

import math
from dataclasses import replace

import pytest
import torch

from interp.analyses.attention_heads.attention import MOST_ROWS, SUMMARIES, Attention, attention
from interp.results.result import load_result
from interp.results.table import table
from tests.analyses.handmade import induction_model, word_tokenizer
from tests.conftest import FAMILIES, tiny

PROMPT = "ant bee cat ant bee"


def random_model(family):
    tokenizer = word_tokenizer()
    model = tiny(family, d_vocab=tokenizer.d_vocab)
    model.tokenizer = tokenizer
    return model


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_sum_to_one_and_the_future_is_unseen(family):
    model = random_model(family)
    result = attention(model, PROMPT, untrained=1)
    assert result.pattern.shape == (model.cfg.n_layers, model.cfg.n_heads, 6, 6)
    torch.testing.assert_close(result.pattern.sum(-1), torch.ones(result.pattern.shape[:-1]))
    for weights in (result.pattern, result.written):
        assert (weights.triu(1) == 0).all() and (weights >= 0).all()
    torch.testing.assert_close(result.written_share.sum(-1), torch.ones(result.pattern.shape[:-1]))


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_written_is_the_norm_of_the_head_s_own_output(family):
    """A head that looks at one token only writes a vector of exactly that norm."""
    model = random_model(family)
    run = model.run(PROMPT, cache=["result"])
    result = attention(model, PROMPT, untrained=0)
    first = run.stack("result")[:, 0, 0].norm(dim=-1)
    torch.testing.assert_close(result.written[:, :, 0, 0], first, atol=1e-5, rtol=1e-4)


def test_summaries_are_those_of_a_known_head():
    result = attention(induction_model(), PROMPT, untrained=2)
    summary = dict(zip(SUMMARIES, result.summary[:, 0, 0], strict=True))
    assert summary["previous_token"] > 0.99 and summary["distance_tokens"] == pytest.approx(
        1, abs=0.02
    )
    assert summary["entropy_bits"] < 0.05 and summary["itself"] < 0.01
    other = dict(zip(SUMMARIES, result.summary[:, 0, 1], strict=True))
    uniform = sum(math.log2(n) for n in range(2, 7)) / 5
    assert other["entropy_bits"] == pytest.approx(uniform, abs=1e-4)
    assert result.untrained.shape == (2, len(SUMMARIES), 2, 2)


def test_it_names_its_control_and_comes_back_from_disk(tmp_path):
    result = attention(induction_model(), PROMPT, untrained=1)
    assert "untrained" in str(result) and "not explanations" in result.caption()
    assert "no untrained control" in str(attention(induction_model(), PROMPT, untrained=0))
    assert load_result(result.save(tmp_path / "a")) == result
    frame = result.frame()
    assert len(frame) == 2 * 2 * 6 * 7 // 2 and (frame["key"] <= frame["query"]).all()


def test_one_token_has_weights_but_no_summary():
    result = attention(induction_model(), [0], untrained=0)
    assert result.pattern.flatten().tolist() == [1.0] * 4 and result.summary.isnan().all()


def of_pattern(pattern: torch.Tensor) -> Attention:
    """A result with these weights, "head query key", and the summaries that they have."""
    from interp.analyses.attention_heads.attention import _summary

    base = attention(induction_model(), PROMPT, untrained=0)
    tokens = tuple(f"t{i}" for i in range(pattern.shape[-1]))
    pattern = pattern[None]
    summary = _summary(pattern)
    none = summary.new_zeros(0, *summary.shape)
    return replace(
        base, tokens=tokens, pattern=pattern, written=pattern, summary=summary, untrained=none
    )


def resting(length: int = 8) -> torch.Tensor:
    """All weight on the first token."""
    return torch.nn.functional.one_hot(torch.zeros(length, dtype=torch.long), length).float()


def before(length: int = 8) -> torch.Tensor:
    """Nine tenths of the weight on the token before, the rest on the token itself."""
    pattern = torch.eye(length).roll(1, 0) * 0.9 + torch.eye(length) * 0.1
    pattern[0] = torch.eye(length)[0]
    return pattern


def test_a_head_that_rests_on_the_first_token_is_not_the_most_focused():
    text = str(of_pattern(torch.stack([resting(), before()])))
    assert "head 0.1 is the most focused" in text
    assert "1 of 2 heads rest on the first token (an attention sink)" in text
    assert "0.47 bits" in text  # of (0.9, 0.1), as -0.9 log2 0.9 - 0.1 log2 0.1


def test_where_all_heads_rest_none_is_focused():
    text = str(of_pattern(torch.stack([resting(), resting()])))
    assert "no head is focused" in text and "an attention sink" in text
    assert "sink" not in str(of_pattern(torch.stack([before(), before()])))


@pytest.mark.parametrize("prompt", [[0], PROMPT])
def test_no_headline_is_made_of_what_is_not_known(prompt):
    result = attention(induction_model(), prompt, untrained=2)
    unknown = replace(result, summary=result.summary * math.nan)
    for each in (unknown, result if len(result.tokens) == 1 else unknown):
        assert "no head is focused" in str(each) and "nan" not in str(each)


def test_the_table_is_that_of_all_results():
    result = attention(induction_model(), PROMPT, untrained=0)
    whole = table(result)
    seen = whole[whole["key"] <= whole["query"]].reset_index(drop=True)
    assert list(result.frame()) == list(seen)
    assert result.frame().to_dict("records") == seen.to_dict("records")


def test_a_long_prompt_has_a_small_figure_and_table():
    """1,200 tokens of two heads: 5.8 million weights a figure would be 15 MB each."""
    length = 1200
    pattern = torch.eye(length) * 50
    pattern[1000, 3] = 2000.0  # a single strong link
    pattern = pattern / pattern.sum(-1, keepdim=True)
    result = of_pattern(torch.stack([pattern, before(length)]))
    figures = [result.figure(**view) for view in ({}, {"layer": 0, "head": 0}, {"combine": "mean"})]
    assert max(len(figure.to_json()) for figure in figures) < 3e6
    drawn = torch.tensor(figures[1].data[0].z)
    assert drawn.nan_to_num().max() > 0.6  # the link is still seen
    frame = result.frame()
    assert len(frame) <= MOST_ROWS
    assert ((frame["query"] == 1000) & (frame["key"] == 3) & (frame["head"] == 0)).any()
    assert "largest weight of several tokens" in result.caption()
    assert "main keys" in result.caption()
    assert "long" not in attention(induction_model(), PROMPT, untrained=0).caption()
