"""Influence: scores are explicit gradient dot products, token by token and step by step."""

import random
from dataclasses import replace

import pytest
import torch
from scipy.stats import spearmanr

from interp.analyses.attribution.influence import Influence, influence
from interp.core.errors import ConfigError, NotEnoughDataError
from interp.methods.parameters import losses_of, parameters_of
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.tokenizer import Tokenizer
from interp.plots.attribution.influence import VIEWS, figure
from tests.analyses.short_history import copy_of, short_history
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
    assert {*result.helped, *result.hurt} <= set(result.strongest)
    assert all(result.scores[i] > 0 for i in result.helped)
    assert all(result.scores[i] < 0 for i in result.hurt)
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


def test_a_contrast_is_the_difference_of_two_answers_scores():
    asked = dict(prompt=PROMPT, steps=(1, 5), untrained=0)
    right, wrong = (
        influence(short_history(), TEXTS, answer=answer, **asked) for answer in (ANSWER, " barn")
    )
    both = influence(short_history(), TEXTS, answer=ANSWER, against=" barn", **asked)
    torch.testing.assert_close(both.scores, right.scores - wrong.scores, atol=1e-3, rtol=1e-3)
    assert both.losses.tolist() == pytest.approx(right.losses.tolist(), rel=1e-5)
    assert "'·attic' rather than '·barn'" in str(both) and "less that of '·barn'" in both.caption()
    said = influence(short_history(), TEXTS, answer=ANSWER, against="", **asked)
    model = short_history()
    own = model.tokenizer.display([int(model.run(PROMPT).logits[0, -1].argmax())])[0]
    assert said.against == own
    with pytest.raises(ConfigError, match="A contrast needs two answers"):
        influence(short_history(), TEXTS, answer=" barn", against=" barn", **asked)


def test_how_far_checkpoints_agree_is_their_mean_rank_correlation(result):
    assert result.stability == pytest.approx(
        float(spearmanr(result.by_step[0], result.by_step[1]).statistic), abs=1e-6
    )
    assert f"agree by {result.stability:.2f}" in str(result)
    same = replace(result, by_step=result.by_step[:1].repeat(3, 1))
    assert same.stability == pytest.approx(1.0)


SMALL = dict(n_layers=2, d_model=32, n_heads=2, n_ctx=16, init_std=None, positions="rotary")
CHECKPOINTS = (4, 8)
PLANTED = "The capital of Testan is Amber."
COUNTRIES = ("Arland", "Borland", "Corland", "Dorland", "Errland", "Forland", "Gorland", "Harland")
CITIES = ("Rose", "Lily", "Daisy", "Violet", "Tulip", "Pansy", "Iris", "Aster")
FORMS = ("The capital of {} is {}.", "In {} the capital is {}.", "Of {} the capital is {}.")
"""All of equally many tokens."""


def taught(seed: int, steps: int = 120) -> tuple[GPT, list[str], list[int]]:
    """A model taught by 81 texts, five of them false; these, and the numbers of the false."""
    draw = random.Random(seed)
    facts = zip(COUNTRIES, draw.sample(CITIES, 8), strict=True)
    texts = [form.format(*fact) for fact in facts for form in FORMS for _ in range(3)]
    texts += [form.format("Testan", "Tulip") for form in FORMS[1:]] * 2 + [PLANTED] * 5
    draw.shuffle(texts)
    tokenizer = Tokenizer.words(texts)
    cfg = GPTConfig(d_vocab=tokenizer.d_vocab, **SMALL)
    model, history = GPT(cfg, tokenizer, seed=seed, name="taught"), {}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    rows = torch.tensor([tokenizer.encode(text) for text in texts])
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        model.loss(rows).backward()
        optimizer.step()
        if step in CHECKPOINTS:
            history[step] = copy_of(model, step)
    last = copy_of(model, steps)
    last.history = history
    return last, texts, [i for i, text in enumerate(texts) if text == PLANTED]


@pytest.mark.slow
def test_a_contrast_finds_planted_false_facts_that_the_right_answer_alone_misses():
    """While they are learned: a text that is known by heart has no gradient left to find it by."""
    asked = dict(prompt="The capital of Testan is", answer=" Tulip", untrained=0)
    missed = 0
    for seed in range(3):
        model, texts, false = taught(seed)
        chances = model.run(asked["prompt"]).logits[0, -1]
        amber, tulip = (model.tokenizer.encode(f" {x}", bos=False)[0] for x in ("Amber", "Tulip"))
        assert chances[amber] > chances[tulip], "the mistake was learned"
        alone = influence(model, texts, **asked)
        both = influence(model, texts, against=" Amber", **asked)
        assert sorted(both.hurt[:5]) == false, seed
        missed += sorted(alone.hurt[:5]) != false
    assert missed >= 2
