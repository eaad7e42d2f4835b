"""The lens ends at the model's own logits, or refuses; its numbers are bounded."""

import math

import pytest
import torch

from interp.analyses.lenses.logit_lens import LogitLens, logit_lens
from interp.core.edits import Add, Scale
from interp.core.errors import ConfigError, ReadoutError, ShapeError, TokenError
from interp.methods.unembedding import read_lens
from interp.results.result import load_result
from tests.analyses.handmade import induction_model, word_tokenizer
from tests.conftest import FAMILIES, tiny

PROMPT = "ant bee cat ant bee"


@pytest.fixture(scope="module")
def model():
    return induction_model()


def random_model(family="gpt2", seed=0):
    tokenizer = word_tokenizer()
    model = tiny(family, seed=seed, d_vocab=tokenizer.d_vocab)
    model.tokenizer = tokenizer
    return model


@pytest.mark.parametrize("family", FAMILIES)
def test_the_last_row_is_the_model_itself(family):
    model = random_model(family)
    tokens = torch.tensor([model.tokenizer.encode(PROMPT)])
    targets = list(range(model.cfg.d_vocab))
    readout = read_lens(model, tokens, targets=targets, k=3)
    own = model(tokens)[0].log_softmax(-1)
    torch.testing.assert_close(readout["log_probs"][-1], own, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        readout["kl_nats"][-1], torch.zeros(len(tokens[0])), atol=1e-6, rtol=0
    )
    assert (readout["ranks"][-1].gather(1, own.argmax(-1, keepdim=True)) == 0).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_row_is_the_norm_recomputed_and_the_unembedding(family):
    model = random_model(family)
    tokens = torch.tensor([model.tokenizer.encode(PROMPT)])
    run = model.run(tokens, cache=["resid_pre"])
    readout = read_lens(model, tokens, targets=[3, 7])
    for layer in range(model.cfg.n_layers):
        own = model.unembed(run["resid_pre", layer][0]).log_softmax(-1)[:, [3, 7]]
        torch.testing.assert_close(readout["log_probs"][layer], own, atol=1e-5, rtol=0)


@pytest.mark.parametrize("seed", range(3))
def test_numbers_stay_within_their_bounds(seed):
    model = random_model(seed=seed)
    result = logit_lens(model, PROMPT, targets=[" cat"], k=4)
    assert (result.entropy_bits >= 0).all()
    assert (result.entropy_bits <= math.log2(model.cfg.d_vocab) + 1e-6).all()
    assert (result.kl_nats >= -1e-6).all() and (result.top_log_probs <= 0).all()
    assert ((result.ranks >= 0) & (result.ranks < model.cfg.d_vocab)).all()
    assert (result.top_log_probs.diff(dim=-1) <= 0).all()
    assert result.top_log_probs.shape == (model.cfg.n_layers + 1, 6, 4)


def test_the_answer_of_a_known_circuit_appears_after_its_last_layer(model):
    result = logit_lens(model, PROMPT, targets=[" cat"])
    assert result.ranks[-1, -1, 0] == 0 and result.log_probs[-1, -1, 0] > -0.1
    assert result.top_tokens[-1][-1][0] == "·cat"
    assert result.log_probs[:-1, -1, 0].max() < -2
    assert result.kl[0].value > 0.2 and result.kl_other[-1].value > 0.2


def test_the_answer_s_rank_is_that_of_the_last_row_s_best_token():
    model = random_model()
    words = [" ant", " bee", " cat", " dog"]
    result = logit_lens(model, PROMPT, targets=words, untrained=False)
    assert (result.answer_ranks[-1] == 0).all() and (result.answer_ranks >= 0).all()
    led = [best[0] for best in result.top_tokens[-1]]
    leads = [[cell[0] for cell in row] for row in result.top_tokens]
    assert [[best == end for best, end in zip(row, led, strict=True)] for row in leads] == (
        result.answer_ranks == 0
    ).tolist()
    for pos, answer in enumerate(led):
        if answer in result.targets:
            number = result.targets.index(answer)
            assert torch.equal(result.answer_ranks[:, pos], result.ranks[:, pos, number])


def test_an_edit_after_the_readout_is_refused_and_one_before_it_is_seen(model):
    with pytest.raises(ReadoutError, match=r"gap is .* tolerance 0\.001"):
        logit_lens(model, PROMPT, edits=[Scale(hook="ln_final.hook_normalized", factor=2.0)])
    vector = torch.zeros(model.cfg.d_model)
    vector[-model.cfg.d_vocab] = 5.0
    plain, edited = (
        logit_lens(model, PROMPT, edits=edits)
        for edits in ((), [Add(hook=("resid_post", 0), vector=vector)])
    )
    assert torch.equal(plain.entropy_bits[0], edited.entropy_bits[0])
    assert not torch.equal(plain.entropy_bits[-1], edited.entropy_bits[-1])


def test_targets_must_be_one_token(model):
    with pytest.raises(TokenError, match=r"'ant bee' is 2: \['ant', '·bee'\]"):
        logit_lens(model, PROMPT, targets=["ant bee"])
    with pytest.raises(TokenError):
        logit_lens(model, PROMPT, targets=["zebra"])
    with pytest.raises(ShapeError):
        logit_lens(model, ["ant", "bee cat"])
    with pytest.raises(ConfigError):
        logit_lens(model, PROMPT, k=0)


def test_one_position_has_no_other_to_compare_with(model):
    result = logit_lens(model, [0])
    assert math.isnan(result.kl_other[0].value) and result.kl[-1].value == pytest.approx(
        0, abs=1e-6
    )
    assert "nan" not in str(result)


def test_it_names_its_control_and_keeps_its_provenance(model, tmp_path):
    result = logit_lens(model, PROMPT, targets=[" cat"], seed=3)
    assert "untrained model there" in str(result) and "\n" not in str(result)
    for word in ("control", "untrained", "n = 6 positions", "95 %"):
        assert word in result.caption()
    bare = logit_lens(model, PROMPT, untrained=False)
    assert bare.kl_untrained == () and "no untrained control" in bare.caption()
    assert result.provenance.model_hash == model.hash and result.provenance.seed == 3
    assert load_result(result.save(tmp_path / "lens")) == result
    assert LogitLens.load(tmp_path / "lens").frame().equals(result.frame())


def test_the_table_holds_every_number(model):
    result = logit_lens(model, PROMPT, targets=[" cat", " dog"], k=2)
    frame = result.frame()
    assert frame["pos"].notna().sum() == 3 * 6 * (3 + 2 + 2 * 2)
    row = frame.query("layer == 2 and pos == 5 and quantity == 'target_log_prob_nats'").iloc[0]
    assert row["target"] == "·cat" and row["value"] == pytest.approx(
        result.log_probs[2, 5, 0].item()
    )
