"""Attention weights are a distribution over the past, and the weighted view is what is written."""

import math

import pytest
import torch

from interp.analyses.attention_heads.attention import SUMMARIES, attention
from interp.results.result import load_result
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
