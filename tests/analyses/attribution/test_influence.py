"""Influence: scores are explicit gradient dot products, token by token and step by step."""

import pytest
import torch

from interp.analyses.attribution.influence import Influence, influence
from interp.core.errors import ConfigError, NotEnoughDataError
from interp.methods.parameters import losses_of, parameters_of
from interp.plots.attribution.influence import VIEWS, figure
from tests.analyses.short_history import short_history
from tests.analyses.tiny_world import TinyWorld

PROMPT, ANSWER = "Anna sits in the attic. Where is Anna? In the", " attic"
TEXTS = tuple(TinyWorld().sample(seed).text for seed in range(9))
RATES = (0.5, 2.0)


@pytest.fixture(scope="module")
def result() -> Influence:
    asked = dict(prompt=PROMPT, answer=ANSWER, steps=(1, 5), rates=RATES, k=3)
    return influence(short_history(), TEXTS, **asked)


def gradient(model, ids: list[int], first: int) -> torch.Tensor:
    """Of the summed nats of a row's tokens from the `first` on, all parameters in one row."""
    params = parameters_of(model)
    loss = losses_of(model, params, torch.tensor([ids]))[0, first - 1 :].sum()
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(params.values()))])


def test_scores_are_the_dot_products_of_explicit_gradients(result):
    model = short_history()
    ids = model.tokenizer.encode(PROMPT)
    asked = ids + model.tokenizer.encode(ANSWER, bos=False)
    expected = torch.zeros(len(TEXTS))
    for row, (step, rate) in enumerate(zip((1, 5), RATES, strict=True)):
        at = model.history[step]
        goal = gradient(at, asked, len(ids))
        dots = torch.stack([gradient(at, at.tokenizer.encode(t), 1) @ goal for t in TEXTS])
        torch.testing.assert_close(result.by_step[row], dots, atol=2e-4, rtol=1e-3)
        expected += rate * dots
    torch.testing.assert_close(result.scores, expected, atol=5e-4, rtol=1e-3)


def test_tokens_of_a_text_add_up_to_its_score(result):
    for number, (tokens, values) in zip(result.strongest, result.parts, strict=True):
        assert len(tokens) == len(values)
        assert "".join(tokens).replace("·", " ").lstrip() in TEXTS[number]
        assert float(values.sum()) == pytest.approx(
            float(result.scores[number]), rel=1e-3, abs=1e-4
        )


def test_a_small_plain_step_on_the_best_text_does_what_its_score_says(result):
    model, rate = short_history().history[5], 1e-4
    ids = model.tokenizer.encode(PROMPT)
    asked = ids + model.tokenizer.encode(ANSWER, bos=False)
    best = int(result.by_step[1].argmax())
    step = gradient(model, model.tokenizer.encode(TEXTS[best]), 1)
    params, start = {}, 0
    for name, p in parameters_of(model).items():
        params[name] = (p - rate * step[start : start + p.numel()].view_as(p)).detach()
        start += p.numel()
    weights = torch.zeros(1, len(asked))
    weights[0, -1] = 1
    rows = torch.tensor([asked])
    change = losses_of(model, params, rows)[0, -1] - model.loss(rows, weights)
    predicted = -rate * float(result.by_step[1, best])
    assert float(change.detach()) == pytest.approx(predicted, rel=0.1) and predicted < 0


def test_controls_stand_beside_the_scores(result):
    assert result.untrained.shape == (1, len(TEXTS)) and len(result.shuffled) == len(TEXTS)
    assert bool(((result.overlap >= 0) & (result.overlap <= 1 + 1e-6)).all())
    alike = influence(short_history(), (*TEXTS, PROMPT + ANSWER), prompt=PROMPT, answer=ANSWER)
    assert int(alike.overlap.argmax()) == len(TEXTS)
    assert "an untrained model's scores" in result.finding()


def test_steps_that_count_alike_have_the_same_spread():
    asked = dict(prompt=PROMPT, answer=ANSWER, steps=(1, 5), untrained=0)
    result = influence(short_history(), TEXTS, alike=True, **asked)
    spreads = result.weights * result.by_step.std(1, correction=0)
    torch.testing.assert_close(spreads, torch.ones(2))


def test_without_history_the_model_itself_counts_once_and_stays_as_it_is():
    bare = short_history().history[4]
    before = bare.hash
    result = influence(bare, TEXTS, prompt=PROMPT, answer=ANSWER, untrained=0)
    assert result.steps == () and len(result.by_step) == 1 and "newest weights" in result.caption()
    assert bare.hash == before and all(p.grad is None for p in bare.parameters())


def test_it_is_told_kept_and_drawn(result, tmp_path):
    assert result.frame()["score"].is_monotonic_decreasing
    assert Influence.load(result.save(tmp_path / "kept")) == result
    assert {*result.away, *result.towards} <= set(result.strongest)
    for view in VIEWS:
        assert figure(result, view=view).data
    with pytest.raises(ConfigError, match="view needs to be one of"):
        figure(result, view="pies")


def test_a_world_gives_texts_and_mistake_and_what_is_missing_is_a_sentence():
    result = influence(short_history(), world=TinyWorld(), n_stories=4, most_steps=2, untrained=0)
    assert result.texts[3] == TinyWorld().sample(3).text and 0 not in result.steps
    with pytest.raises(NotEnoughDataError, match="Needs texts, or a world"):
        influence(short_history(), prompt=PROMPT, answer=ANSWER)
    with pytest.raises(ConfigError, match="one rate a step, 2 in all; got 1"):
        influence(short_history(), TEXTS, prompt=PROMPT, answer=ANSWER, steps=(1, 2), rates=[1])
