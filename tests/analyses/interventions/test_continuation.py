"""Two texts of one prompt: the same without edits, and each number that of the model itself."""

import pytest
import torch

from interp.analyses.interventions.continuation import Continuation, continuation
from interp.core.edits import Add, Where
from interp.core.errors import TokenError
from tests.analyses.tiny_model import tiny_model

PROMPT = "Anna sits in the den."
OPTIONS = {"max_new_tokens": 20, "seed": 1}


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def edit(model):
    vector = torch.randn(32, generator=torch.Generator().manual_seed(3))
    return Add(hook=("resid_post", 0), vector=vector, scale=2.0)


@pytest.fixture(scope="module")
def pair(model, edit):
    return continuation(model, PROMPT, [edit], **OPTIONS)


def test_without_a_dose_both_texts_are_the_same_tokens(model, edit):
    still = Add(hook=edit.hook, vector=edit.vector, scale=0.0)
    for edits in ([], [still]):
        result = continuation(model, PROMPT, edits, **OPTIONS)
        assert result.same and result.base_text == result.steered_text
        assert result.base_tokens == result.steered_tokens and result.before == result.after
        assert float(result.kl_nats.abs().max()) == 0.0 == result.cost_nats


def test_the_texts_are_those_of_the_model_itself(model, edit, pair):
    assert pair.base_text == model.generate(PROMPT, **OPTIONS).text
    assert pair.steered_text == model.generate(PROMPT, edits=[edit], **OPTIONS).text
    assert pair.base_text != pair.steered_text
    at = pair.parted
    assert pair.base_tokens[:at] == pair.steered_tokens[:at]
    assert pair.base_tokens[at] != pair.steered_tokens[at]


def test_kl_and_log_probabilities_are_those_of_the_steered_text(model, edit, pair):
    made = model.generate(PROMPT, edits=[edit], **OPTIONS)
    ids = torch.tensor([made.prompts[0] + made.tokens[0]])
    plain = model.run(ids).logits[0].log_softmax(-1)
    edited = model.run(ids, edits=[edit]).logits[0].log_softmax(-1)
    for i, token in enumerate(made.tokens[0]):
        place = len(made.prompts[0]) - 1 + i
        kl = (edited[place].exp() * (edited[place] - plain[place])).sum()
        assert float(pair.kl_nats[i]) == pytest.approx(float(kl), abs=1e-5)
        assert float(pair.log_prob_nats[i]) == pytest.approx(float(plain[place, token]), abs=1e-5)
        figure = made.steps[0][i].log_prob_nats
        assert float(pair.steered_log_prob_nats[i]) == pytest.approx(figure, abs=1e-4)
        word, chance = pair.after[i][0]
        assert word == model.tokenizer.display([int(edited[place].argmax())])[0]
        assert chance == pytest.approx(float(edited[place].exp().max()), abs=1e-5)


def test_an_edit_of_generated_positions_counts_them_from_the_prompt(model, edit):
    late = Add(hook=edit.hook, vector=edit.vector, scale=2.0, where=Where(span="generated"))
    result = continuation(model, PROMPT, [late], **OPTIONS)
    made = model.generate(PROMPT, edits=[late], **OPTIONS)
    figure = [step.log_prob_nats for step in made.steps[0]]
    assert result.steered_log_prob_nats.tolist() == pytest.approx(figure, abs=1e-4)


def test_its_code_gives_the_same_texts(model, edit, pair):
    code = pair.code()
    assert "from_json(" in code and "seed=1" in code and "max_new_tokens=20" in code
    names: dict = {}
    lines = [line for line in code.splitlines() if "load_model" not in line]
    exec("\n".join(lines), names | {"model": model}, names)
    assert names["result"] == pair


def test_it_saves_draws_and_tells(pair, tmp_path):
    assert Continuation.load(pair.save(tmp_path / "pair")) == pair
    rows = pair.frame()["quantity"].value_counts()
    assert rows["base_kl_nats"] == len(pair.base_tokens)
    assert rows["kl_nats"] == len(pair.steered_tokens)
    figure = pair.figure()
    assert list(figure.data[0].y) == pair.kl_nats.tolist()
    assert "nats" in pair.caption() and "part at token" in str(pair)
    assert all(len(each.text) == len(pair.steered_tokens) for each in figure.data[1:])


def test_a_prompt_that_fills_the_context_is_refused(model):
    full = "Anna sits in the den. " * 10 + "Anna feels glad"
    assert len(model.tokenizer.encode(full)) == model.cfg.n_ctx
    with pytest.raises(TokenError, match="needs room for one more token"):
        continuation(model, full)
