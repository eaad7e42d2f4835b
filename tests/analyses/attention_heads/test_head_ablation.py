"""A head of a circuit made by hand is missed by exactly as much as a run without it says."""

import math
from dataclasses import replace

import pytest
import torch

from interp.analyses.attention_heads.head_ablation import head_ablation
from interp.core.edits import Ablate
from interp.core.errors import ConfigError, NotEnoughDataError, TokenError
from interp.results.result import load_result
from tests.analyses.handmade import induction_model, word_tokenizer
from tests.conftest import FAMILIES, tiny

PROMPT = "ant bee cat dog ant bee"


@pytest.fixture(scope="module")
def model():
    return induction_model()


def alone(model, prompt, layer, head, kind):
    """The answer's loss change by two plain runs, and the answer."""
    run = model.run(prompt, cache=["z"])
    answer = run.logits[0, -1].argmax()
    value = run["z", layer][0, 1:].mean(0) if kind == "mean" else None
    edit = Ablate(hook=("z", layer), kind=kind, heads=(head,), value=value)
    before, after = (
        logits[0, -1].log_softmax(-1)[answer]
        for logits in (run.logits, model.run(prompt, edits=[edit]).logits)
    )
    return float(before - after), int(answer)


@pytest.mark.parametrize("kind", ["mean", "zero"])
@pytest.mark.parametrize("family", FAMILIES)
def test_each_change_is_that_of_a_run_without_the_head(family, kind):
    tokenizer = word_tokenizer()
    model = tiny(family, d_vocab=tokenizer.d_vocab)
    model.tokenizer = tokenizer
    result = head_ablation(model, PROMPT, kind=kind, untrained=0, shuffles=0)
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):
            change, answer = alone(model, PROMPT, layer, head, kind)
            assert float(result.change[layer, head]) == pytest.approx(change, abs=2e-5)
            assert result.answer == tokenizer.display([answer])[0]


def test_the_circuit_is_missed_and_the_idle_heads_are_not(model):
    result = head_ablation(model, PROMPT, untrained=1)
    assert (result.change[:, 0] > 0.5).all() and result.change[:, 1].abs().max() < 1e-6
    assert result.most_helpful[1] == 0
    assert result.untrained.shape == (1, 2, 2) and result.shuffled.shape == (4, 2, 2)


def test_heads_in_small_groups_give_the_same_numbers(model, monkeypatch):
    whole = head_ablation(model, PROMPT)
    monkeypatch.setattr("interp.analyses.attention_heads.head_ablation.MOST_VALUES", 1)
    torch.testing.assert_close(head_ablation(model, PROMPT).change, whole.change)


def test_another_answer_can_be_followed_and_must_be_one_token(model):
    result = head_ablation(model, PROMPT, answer=" pig", untrained=0)
    run = model.run(PROMPT)
    place = model.tokenizer.encode(" pig", bos=False)[0]
    expected = run.logits[0, -1].log_softmax(-1)[place]
    assert result.log_prob_nats == pytest.approx(float(expected), abs=1e-5)
    with pytest.raises(TokenError, match="exactly one token"):
        head_ablation(model, PROMPT, answer=" pig pig")


def test_it_names_its_controls_and_comes_back_from_disk(model, tmp_path):
    result = head_ablation(model, PROMPT, untrained=1)
    assert "untrained" in str(result) and "shuffled words" in str(result)
    assert "n = one prompt" in result.caption() and "hide each other" in result.caption()
    assert "no control" in str(head_ablation(model, PROMPT, untrained=0, shuffles=0))
    assert load_result(result.save(tmp_path / "effect")) == result
    frame = result.frame()
    assert len(frame) == 4 and frame["loss_change_nats"].tolist() == pytest.approx(
        result.change.flatten().tolist()
    )


def test_what_cannot_be_measured_is_refused(model):
    with pytest.raises(NotEnoughDataError, match="two tokens"):
        head_ablation(model, [0])
    with pytest.raises(ConfigError, match="got 'resample'"):
        head_ablation(model, PROMPT, kind="resample")


@pytest.mark.parametrize(
    ("change", "says", "never"),
    [
        (
            [[0.2, 0.1], [0.0, -0.6]],
            ["0.0 helps most", "Head 1.1 hurts it most: -0.60"],
            "1.1 help",
        ),
        ([[-0.2, -0.1], [0.0, -0.6]], ["no head helps", "Head 1.1 hurts it most"], "helps most"),
        ([[0.2, 0.1], [0.3, 0.0]], ["1.0 helps most", "+0.30"], "hurts"),
        ([[0.2, 0.1], [math.nan, 0.0]], ["0.0 helps most"], "nan"),
    ],
)
def test_the_head_that_is_named_helps(model, change, says, never):
    result = replace(head_ablation(model, PROMPT, untrained=0), change=torch.tensor(change))
    assert all(words in str(result) for words in says) and never not in str(result)
