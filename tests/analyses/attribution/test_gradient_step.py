"""A step does what torch does, is predicted to second order, and never touches the model."""

import copy
import math
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from interp.analyses.attribution.gradient_step import gradient_step
from interp.core.errors import ConfigError, NotEnoughDataError, TokenError
from interp.models.tokenizer import Tokenizer
from interp.results.result import load_result
from tests.analyses.handmade import word_tokenizer
from tests.analyses.tiny_world import TinyWorld
from tests.conftest import FAMILIES, tiny

PROMPT, ANSWER = "ant bee cat dog ant bee", " cat"
OTHERS = ("ant fox", "dog cat pig owl")


def words_model(family="gpt2"):
    tokenizer = word_tokenizer()
    model = tiny(family, d_vocab=tokenizer.d_vocab)
    model.tokenizer = tokenizer
    return model


@pytest.fixture(scope="module")
def model():
    return words_model()


def by_hand(model, optimizer, steps):
    """The same steps by torch alone, on a deep copy in double precision: losses of the answer."""
    twin = copy.deepcopy(model).double()
    ids = torch.tensor([model.tokenizer.encode(PROMPT)])
    (answer,) = model.tokenizer.encode(ANSWER, bos=False)
    method = optimizer(twin.parameters())
    losses = []
    for number in range(steps + 1):
        loss = -twin(ids)[0, -1].log_softmax(-1)[answer]
        losses.append(float(loss.detach()))
        method.zero_grad()
        loss.backward()
        if number < steps:
            method.step()
    return losses, float(twin(ids)[0, -1].detach().softmax(-1)[answer])


@pytest.mark.parametrize("family", FAMILIES)
def test_steps_are_those_of_torch_in_every_family(family):
    model = words_model(family)
    result = gradient_step(model, PROMPT, answer=ANSWER, lr=0.01, steps=3)
    losses, chance = by_hand(model, lambda p: torch.optim.SGD(p, lr=0.01), 3)
    assert result.losses == pytest.approx(losses, abs=1e-9)
    assert float(result.after[result.right]) == pytest.approx(chance, abs=1e-6)


def test_adamw_starts_fresh_and_its_first_step_is_the_sign(model):
    result = gradient_step(model, PROMPT, answer=ANSWER, lr=1e-3, steps=2, optimizer="adamw")
    losses, _ = by_hand(model, lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.0), 2)
    assert result.losses == pytest.approx(losses, abs=1e-9)
    one = gradient_step(model, PROMPT, answer=ANSWER, lr=1e-3, optimizer="adamw")
    leaves = [p for p in model.parameters() if p.requires_grad]
    most = math.sqrt(sum(p.numel() for p in leaves)) * 1e-3
    assert 0.5 * most < one.update_norm <= most * (1 + 1e-6)
    assert "fresh state" in one.caption() and "sign" in one.caption()


def test_first_order_is_minus_size_times_the_squared_gradient(model):
    result = gradient_step(model, PROMPT, answer=ANSWER, lr=0.003)
    assert result.predicted[0] == pytest.approx(-0.003 * result.gradient_norm**2, rel=1e-9)
    assert result.update_norm == pytest.approx(0.003 * result.gradient_norm, rel=1e-9)


@pytest.mark.parametrize("optimizer, lr", [("sgd", 3e-4), ("adamw", 1e-4)])
def test_the_error_shrinks_with_the_square_of_the_size_and_the_cube_with_curvature(
    model, optimizer, lr
):
    model = copy.deepcopy(model).double()
    sizes = [lr * 2.0**-i for i in range(6)]
    results = [
        gradient_step(model, PROMPT, answer=ANSWER, lr=s, optimizer=optimizer) for s in sizes
    ]
    first = [math.log(abs(r.change - r.predicted[0])) for r in results]
    second = [math.log(abs(r.change - r.curved)) for r in results]
    slopes = [(errors[0] - errors[-1]) / (5 * math.log(2)) for errors in (first, second)]
    assert slopes[0] == pytest.approx(2, abs=0.1) and slopes[1] == pytest.approx(3, abs=0.3)
    assert all(r.order == pytest.approx(2, abs=0.05) for r in results)
    assert results[0].tried[6] == pytest.approx(results[0].change, abs=1e-12)


def test_the_loaded_model_is_not_changed_by_any_of_many_threads(model):
    before, kept = model.hash, {n: p.clone() for n, p in model.named_parameters()}
    alone = gradient_step(model, PROMPT, answer=ANSWER, lr=0.1, untouched=OTHERS)
    plain = model.run(PROMPT).logits
    with ThreadPoolExecutor(4) as pool:
        ask = {"answer": ANSWER, "lr": 0.1, "untouched": OTHERS}
        steps = [pool.submit(gradient_step, model, PROMPT, **ask) for _ in range(6)]
        runs = [pool.submit(lambda: model.run(PROMPT).logits) for _ in range(30)]
        assert all(each.result() == alone for each in steps)
        assert all(torch.equal(each.result(), plain) for each in runs)
    assert model.hash == before
    assert all(torch.equal(kept[n], p) and p.grad is None for n, p in model.named_parameters())


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_parts_of_each_kind_add_up(model, optimizer):
    result = gradient_step(model, PROMPT, answer=ANSWER, optimizer=optimizer, lr=1e-3)
    kinds = torch.tensor([kind == "layer" for kind in result.part_kinds])
    assert float(result.moved[kinds].sum()) == pytest.approx(1, abs=1e-5)
    assert float(result.gained[kinds].sum()) == pytest.approx(1, abs=1e-5)
    if optimizer == "sgd":
        torch.testing.assert_close(result.moved, result.gained)
    else:
        assert not torch.allclose(result.moved, result.gained, atol=1e-2)
    tokens = [p for k, p in zip(result.part_kinds, result.parts, strict=True) if k == "token"]
    assert any("·cat" in token for token in tokens)


def test_without_a_step_nothing_moves_but_the_prediction_stands(model):
    none = gradient_step(model, PROMPT, answer=ANSWER, steps=0, untouched=OTHERS)
    one = gradient_step(model, PROMPT, answer=ANSWER, steps=1, untouched=OTHERS)
    assert torch.equal(none.before, none.after) and none.change == 0 and none.update_norm == 0
    assert none.predicted == one.predicted and none.losses == one.losses[:1]
    assert float(none.untouched_kl.max()) == 0 and "predicted" in str(none)
    torch.testing.assert_close(none.moved, one.moved)


def test_a_step_beats_random_ones_and_tells_of_untouched_prompts():
    world = TinyWorld()
    stories = [world.sample(number, split="held_out") for number in range(20)]
    tokenizer = Tokenizer.words([story.text for story in stories])
    model = tiny("llama", d_vocab=tokenizer.d_vocab, n_ctx=64)
    model.tokenizer = tokenizer
    text = stories[0].text[: stories[0].questions[0].span[1]]
    result = gradient_step(model, text, answer=" den", lr=0.003, steps=10, world=world)
    assert result.change < min(result.random_loss) and result.after[result.right] > 0.5
    assert len(result.untouched) == 5 and text not in result.untouched
    assert (result.untouched_kl > 0).all()
    assert result.untouched_answers[0] in "".join(model.tokenizer.display(range(tokenizer.d_vocab)))
    assert result.turned == sum(a != b for a, b in result.untouched_tops)
    assert "5 prompts" in str(result) and "random directions" in str(result)


def test_it_is_saved_drawn_and_listed(model, tmp_path):
    result = gradient_step(model, PROMPT, answer=ANSWER, steps=2, untouched=OTHERS)
    assert load_result(result.save(tmp_path / "step")) == result
    names = set(result.frame()["quantity"])
    assert {"probability_after", "loss_nats", "tried_change_nats", "share_of_update"} <= names
    for view in ("candidates", "losses", "sizes", "untouched"):
        assert len(result.figure(view=view).data) >= 2
    for parts in ("layer", "tensor", "head", "neuron", "token"):
        assert len(result.figure(view="parts", parts=parts).data) == 2
    with pytest.raises(ConfigError, match="view needs to be one of"):
        result.figure(view="no")


def test_an_answer_of_several_tokens_counts_as_a_whole(model):
    whole = gradient_step(model, PROMPT, answer=" cat dog", steps=0)
    first = gradient_step(model, PROMPT, answer=" cat", steps=0)
    then = gradient_step(model, PROMPT + " cat", answer=" dog", steps=0)
    assert whole.losses[0] == pytest.approx(first.losses[0] + then.losses[0], abs=1e-9)


def test_what_cannot_be_done_is_refused(model):
    for wrong in ({"lr": 0.0}, {"steps": -1}, {"k": 0}, {"optimizer": "adam"}):
        with pytest.raises(ConfigError):
            gradient_step(model, PROMPT, answer=ANSWER, **wrong)
    with pytest.raises(ConfigError, match="smaller step size"):
        gradient_step(model, PROMPT, answer=ANSWER, lr=1e30, steps=3)
    with pytest.raises(ConfigError, match="2 prompts and 1 answers"):
        gradient_step(model, PROMPT, untouched=OTHERS, untouched_answers=[" cat"])
    with pytest.raises(TokenError):
        gradient_step(model, PROMPT, answer=" cat" * 40)
    world = TinyWorld()
    world.sample = lambda seed, **_: type("Story", (), {"text": "a", "questions": ()})()
    with pytest.raises(NotEnoughDataError, match="held-out questions"):
        gradient_step(model, PROMPT, world=world)
