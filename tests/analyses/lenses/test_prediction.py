"""A prediction is what `generate` draws, step for step, and its parts add up to its scores."""

import math
from dataclasses import replace

import pytest
import torch

from interp.analyses.lenses.prediction import Prediction, prediction
from interp.core.edits import Add, Scale, Where
from interp.core.errors import ConfigError, ReadoutError, ShapeError, TokenError
from interp.results.result import load_result
from tests.analyses.handmade import induction_model, word_tokenizer
from tests.families import FAMILIES, tiny

PROMPT = "ant bee cat ant bee"
SETTINGS = [{}, {"temperature": 0.0}, {"temperature": 0.7, "top_k": 5}, {"top_p": 0.6}]
SETTINGS += [{"temperature": 1.6, "min_p": 0.2}]


def random_model(family="gpt2", seed=0):
    tokenizer = word_tokenizer()
    model = tiny(family, seed=seed, d_vocab=tokenizer.d_vocab, n_ctx=40)
    model.tokenizer = tokenizer
    return model


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("how", SETTINGS)
def test_it_is_the_first_step_of_generate(family, how):
    model = random_model(family)
    result = prediction(model, PROMPT, seed=4, **how)
    step = model.generate(PROMPT, max_new_tokens=1, seed=4, top=10, **how).steps[0][0]
    assert (result.chosen_id, result.draw, result.kept_mass) == (
        step.token, step.draw, pytest.approx(step.kept_mass)
    )  # fmt: skip
    assert result.sampling_probabilities[result.chosen].item() == pytest.approx(
        step.probability, abs=1e-6
    )
    assert result.drawn_entropy_bits == pytest.approx(step.entropy_bits, abs=1e-5)
    candidates = zip(
        result.candidate_ids, result.probabilities, result.sampling_probabilities, strict=True
    )
    for own, (token, plain, sampling) in zip(candidates, step.top, strict=False):
        assert own[0] == token and own[1].item() == pytest.approx(plain, abs=1e-6)
        assert own[2].item() == pytest.approx(sampling, abs=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_stepping_writes_what_generate_writes(family):
    model = random_model(family)
    push = Add(
        hook=("resid_post", 0),
        vector=torch.linspace(-2, 2, model.cfg.d_model),
        where=Where(span="generated"),
    )
    for edits in ((), [push]):
        how = {"temperature": 1.3, "top_p": 0.95, "seed": 9, "edits": edits}
        whole = model.generate(PROMPT, max_new_tokens=10, **how)
        then: list[int] = []
        for step in whole.steps[0]:
            result = prediction(model, PROMPT, then=then, **how)
            assert result.draw == step.draw and result.n_written == len(then)
            assert result.probabilities[result.chosen].log().item() == pytest.approx(
                step.log_prob_nats, abs=1e-4
            )
            then.append(result.chosen_id)
        assert then == whole.tokens[0] and result.ends == (whole.finished == ["end_of_text"])


@pytest.mark.parametrize("family", FAMILIES)
def test_parts_add_up_to_the_scores(family):
    model = random_model(family)
    result = prediction(model, PROMPT, k=6)
    logits = model.run(PROMPT).logits[0, -1]
    own = logits[result.candidate_ids] - logits.mean()
    torch.testing.assert_close(result.scores, own, atol=1e-5, rtol=0)
    torch.testing.assert_close(result.contributions.sum(0), own, atol=1e-4, rtol=0)
    assert result.gap < 1e-4
    kinds = {part.split()[0] for part in result.parts}
    assert ("MLP" in kinds) == (not model.cfg.attn_only)
    assert ("position" in kinds) == (model.cfg.positions == "learned")


def test_an_edit_of_the_stream_is_a_part_of_its_own():
    model = random_model()
    push = Add(hook=("resid_post", 0), vector=torch.linspace(-1, 1, model.cfg.d_model))
    plain, pushed = prediction(model, PROMPT), prediction(model, PROMPT, edits=[push])
    assert "edits" not in plain.parts and "edits" in pushed.parts
    assert pushed.contributions[pushed.parts.index("edits")].abs().max() > 0.1
    with pytest.raises(ReadoutError, match="must sum to it"):
        prediction(model, PROMPT, edits=[Scale(hook="ln_final.hook_normalized", factor=2.0)])


def test_the_circuit_that_copies_is_seen_to_write_the_answer():
    result = prediction(induction_model(), PROMPT, temperature=0.0)
    assert result.candidates[0] == "·cat" and result.ids.tolist()[-1] == result.ids[2]
    adding = dict(zip(result.parts, result.contributions[:, 0].tolist(), strict=True))
    assert adding["attention 1"] == pytest.approx(result.scores[0].item(), abs=1e-3)
    assert adding["attention 0"] == pytest.approx(0, abs=1e-3)
    assert result.guesses[-1] == "·cat" and result.draw is None
    assert result.attention[1].argmax() == 3


@pytest.mark.parametrize("seed", range(6))
def test_the_draw_falls_where_the_chosen_token_stands_on_the_bar(seed):
    result = prediction(random_model(), PROMPT, seed=seed, top_p=0.8, k=100)
    at = result.chosen
    assert result.cdf_low[at] <= result.draw < result.cdf_high[at] + 1e-6
    torch.testing.assert_close(
        result.cdf_high - result.cdf_low, result.sampling_probabilities, atol=1e-6, rtol=0
    )
    order = result.candidate_ids.argsort()
    torch.testing.assert_close(result.cdf_low[order][1:], result.cdf_high[order][:-1])
    assert result.sampling_probabilities.sum().item() == pytest.approx(1, abs=1e-5)
    kept = result.sampling_probabilities > 0
    assert int(kept.sum()) == result.n_kept < result.n_vocab
    assert result.tempered_probabilities[kept].sum().item() == pytest.approx(
        result.kept_mass, abs=1e-5
    )
    assert 0 <= result.drawn_entropy_bits <= math.log2(result.n_kept) + 1e-5


def test_norms_and_readings_are_those_of_the_run():
    model = random_model("llama")
    result = prediction(model, PROMPT)
    run = model.run(PROMPT, cache=["resid_post", "attn_out", "mlp_out", "pattern"])
    for layer in range(model.cfg.n_layers):
        for own, point in ((result.attn_norms, "attn_out"), (result.mlp_norms, "mlp_out")):
            torch.testing.assert_close(own[layer], run[point, layer][0].norm(dim=-1))
        stream = run["resid_post", layer][0]
        torch.testing.assert_close(result.resid_norms[layer + 1], stream.norm(dim=-1))
    torch.testing.assert_close(result.attention.sum(-1), torch.ones(model.cfg.n_layers))
    last = run.logits[0, -1].softmax(-1)
    assert result.guess_probabilities[-1].item() == pytest.approx(last.max().item(), abs=1e-5)
    assert (result.mlp_norms > 0).all()
    assert (prediction(random_model("attn-only"), PROMPT).mlp_norms == 0).all()


def test_what_cannot_be_predicted_is_refused():
    model = random_model()
    with pytest.raises(TokenError, match="fills the context"):
        prediction(model, [3] * 40)
    with pytest.raises(ShapeError):
        prediction(model, ["ant", "bee"])
    with pytest.raises(ConfigError, match="k = 0"):
        prediction(model, PROMPT, k=0)
    with pytest.raises(ConfigError, match="top_p"):
        prediction(model, PROMPT, top_p=2.0)


def test_it_says_what_was_found_and_keeps_its_provenance(tmp_path):
    model = random_model()
    result = prediction(model, PROMPT, then=[3, 5], seed=2, top_k=3)
    assert "uniform guess" in str(result) and "\n" not in str(result)
    for word in ("control", "n = 1", "direct only", "kept 3 of"):
        assert word in result.caption()
    assert load_result(result.save(tmp_path / "it")) == result
    assert Prediction.load(tmp_path / "it").frame().equals(result.frame())
    assert "then=[3, 5]" in result.code() and result.provenance.seed == 2


def test_the_headline_is_the_models_own_answer_and_the_draw_comes_second():
    model = random_model()
    answer = model.tokenizer.display([int(model.run(PROMPT).logits[0, -1].argmax())])[0]
    drawn = next(
        each for seed in range(50)
        if (each := prediction(model, PROMPT, seed=seed)).candidates[each.chosen] != answer
    )  # fmt: skip
    told = str(drawn)
    assert told.startswith(f"The model's answer is {answer!r}, ")
    assert told.index(repr(answer)) < told.index(f"{drawn.candidates[drawn.chosen]!r} was drawn")
    assert "it was taken, as the best" in str(prediction(model, PROMPT, temperature=0.0))
    rare = replace(drawn, sampling_probabilities=torch.full_like(drawn.probabilities, 0.0002))
    assert "drawn with probability 0.02%" in str(rare) and " 0.0%" not in str(rare)
