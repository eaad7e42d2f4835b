"""A turned dial is the same as a model with that part changed, and the model stays as it was."""

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from interp.analyses.interventions._component_scaling import read_dial
from interp.analyses.interventions.component_scaling import component_scaling
from interp.core.edits import Scale
from interp.core.errors import ConfigError
from interp.results.result import load_result
from tests.analyses.handmade import induction_model, word_tokenizer
from tests.conftest import FAMILIES, tiny

PROMPT = "ant bee cat dog ant bee"


def words_model(family="gpt2"):
    tokenizer = word_tokenizer()
    model = tiny(family, d_vocab=tokenizer.d_vocab)
    model.tokenizer = tokenizer
    return model


@pytest.fixture(scope="module")
def model():
    return words_model()


def candidate_probabilities(model, result, logits):
    """The probabilities of the result's candidates in these logits."""
    names = model.tokenizer.display(range(model.cfg.d_vocab))
    ids = [names.index(name) for name in result.candidates]
    return logits[0, -1].softmax(-1)[ids].detach()


def with_weight(model, name, value):
    """The logits of a deep copy whose weight was written to by PyTorch's own layout."""
    twin = copy.deepcopy(model)
    d_head, heads = model.cfg.d_head, model.cfg.n_heads
    with torch.no_grad():
        if name == "W_E[3, 5]":
            twin.embed.weight[3, 5] = value
        elif name == "W_Q[1, 2][7, 3]":
            twin.blocks[1].attn.qkv.weight[2 * d_head + 3, 7] = value
        elif name == "W_V[0, 1][2, 0]":
            kv = model.cfg.n_key_value_heads
            twin.blocks[0].attn.qkv.weight[(heads + kv + 1) * d_head, 2] = value
        elif name == "W_O[0, 3][1, 4]":
            twin.blocks[0].attn.out.weight[4, 3 * d_head + 1] = value
        elif name == "W_in[1][4, 6]":
            twin.blocks[1].mlp.up.weight[6, 4] = value
        elif name == "ln1.w[0][2]":
            twin.blocks[0].ln1.weight[2] = value
    return twin.run(PROMPT).logits


WEIGHTS = ("W_E[3, 5]", "W_Q[1, 2][7, 3]", "W_V[0, 1][2, 0]", "W_O[0, 3][1, 4]", "W_in[1][4, 6]")


@pytest.mark.parametrize("name", [*WEIGHTS, "ln1.w[0][2]"])
@pytest.mark.parametrize("family", ["gpt2", "qwen3"])
def test_a_weight_is_the_one_of_that_name(family, name):
    model = words_model(family)
    result = component_scaling(model, PROMPT, turns=[f"{name} = 2.5"], n_random=0)
    expected = candidate_probabilities(model, result, with_weight(model, name, 2.5))
    torch.testing.assert_close(result.after, expected, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(result.after, result.before, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_heads_and_neurons_are_turned_as_by_edits_and_together(family):
    model = words_model(family)
    turns, edits = ["head 1.2 * 0"], [Scale(hook=("z", 1), heads=(2,), factor=0.0)]
    if not model.cfg.attn_only:
        turns.append("neuron 0.3 * 4")
        edits.append(Scale(hook=("post", 0), neurons=(3,), factor=4.0))
    result = component_scaling(model, PROMPT, turns=turns)
    expected = candidate_probabilities(model, result, model.run(PROMPT, edits=edits).logits)
    torch.testing.assert_close(result.after, expected, atol=1e-6, rtol=1e-5)
    assert len(result.random_kl) == 8 and result.kl_nats > 0


def test_a_sweep_passes_through_what_is_and_what_was(model):
    turns = ["head 0.1 * 3", "neuron 1.5 = 2", "W_E[3, 5] * 2"]
    result = component_scaling(model, PROMPT, turns=turns)
    for i, turn in enumerate(turns):
        at = result.values[i].tolist()
        value = at[16] if i else at[8]
        sign = "*" if i == 0 else "="
        name = turn.split(" * ")[0].split(" = ")[0]
        others = [each for each in turns if each != turn]
        alone = component_scaling(
            model, PROMPT, turns=[*others, f"{name} {sign} {value}"], k=30, n_random=0
        )
        names = [alone.candidates.index(name) for name in result.candidates]
        curve = result.probabilities[i, 16 if i else 8]
        torch.testing.assert_close(curve, alone.after[names], atol=1e-5, rtol=1e-4)
        assert min(at) <= result.current_values[i] <= max(at)
    assert result.units == ("factor", "value", "value")


def test_a_pull_is_the_slope_of_the_log_probability(model):
    result = component_scaling(model, PROMPT, suggestions=3)
    assert len(result.suggested) == 9 and len(result.swept_dials) == 3
    message = (result.rival, result.answer)
    for name, pull in zip(result.suggested, result.pulls, strict=True):
        ends = [
            component_scaling(
                copy.deepcopy(model).double(), PROMPT, turns=[f"{name} * {f}"], n_random=0
            )
            for f in (0.999, 1.001)
        ]
        pairs = [[end.candidates.index(name) for name in message] for end in ends]
        lead = [float(end.after[pair].log().diff()) for end, pair in zip(ends, pairs, strict=True)]
        assert (lead[1] - lead[0]) / 0.002 == pytest.approx(pull, abs=2e-3, rel=2e-2)


def test_the_head_that_copies_counts_most_in_a_circuit_made_by_hand():
    result = component_scaling(induction_model(), PROMPT)
    pulls = dict(zip(result.suggested, result.pulls, strict=True))
    assert set(result.suggested_kinds) == {"head", "weight"}
    assert min(abs(pulls["head 0.0"]), abs(pulls["head 1.0"])) > 10
    assert pulls["head 0.1"] == pulls["head 1.1"] == 0
    gone = component_scaling(induction_model(), PROMPT, turns=["head 1.0 * 0"])
    assert gone.before.max() > 0.9 and gone.after.max() < 0.5
    assert gone.kl_nats > 3 and min(gone.random_kl) == 0


def test_the_loaded_model_is_not_changed_by_any_of_many_threads(model):
    before, turns = model.hash, ["W_E[3, 5] = 9", "head 0.0 * 0"]
    alone, plain = component_scaling(model, PROMPT, turns=turns), model.run(PROMPT).logits
    with ThreadPoolExecutor(4) as pool:
        again = [pool.submit(component_scaling, model, PROMPT, turns=turns) for _ in range(6)]
        runs = [pool.submit(lambda: model.run(PROMPT).logits) for _ in range(30)]
        assert all(each.result() == alone for each in again)
        assert all(torch.equal(each.result(), plain) for each in runs)
    assert model.hash == before and all(p.grad is None for p in model.parameters())


def test_without_a_turn_nothing_moves_and_suggestions_stand(model, tmp_path):
    result = component_scaling(model, PROMPT)
    assert torch.equal(result.before, result.after) and result.kl_nats == 0
    assert "No component is scaled" in str(result) and result.random_kl == ()
    turned = component_scaling(model, PROMPT, turns=["head 0.0 * 0"])
    assert load_result(turned.save(tmp_path / "dials")) == turned
    assert {"probability", "pull_nats", "random_kl_nats"} < set(turned.frame()["quantity"])
    for each in (result, turned):
        for view in ("candidates", "sweep", "pulls"):
            assert len(each.figure(view=view).data) >= 1
    with pytest.raises(ConfigError, match="view needs to be one of"):
        result.figure(view="no")


@pytest.mark.parametrize(
    "turn, message",
    [
        ("head 9.0 * 0", "2 layers of 4 heads"),
        ("neuron 0.999 * 0", "neurons, counted from 0"),
        ("head 0.0 = 2", "no single value"),
        ("head 0.0 * x", "is no number"),
        ("head 0.0 * inf", "finite"),
        ("<b>", "A change of a component is"),
        ("", "A change of a component is"),
        ("W_X[1, 2] * 0", "no weight of this model"),
        ("W_E[999, 0] * 0", "needs a place in its shape"),
        ("W_Q[0][1, 2] * 0", "needs a place in its shape"),
        ("b_U[1] = 2", "no weight"),
    ],
)
def test_what_is_no_dial_is_a_sentence(model, turn, message):
    with pytest.raises(ConfigError, match=message):
        component_scaling(model, PROMPT, turns=[turn])


def test_a_bias_that_the_model_lacks_has_no_dial():
    with pytest.raises(ConfigError, match="stands for zeros"):
        component_scaling(words_model("llama"), PROMPT, turns=["b_O[0][1] = 2"])


def test_too_many_dials_are_refused_and_turns_read_back(model):
    with pytest.raises(ConfigError, match="at most 6 components"):
        component_scaling(model, PROMPT, turns=["head 0.0 * 0"] * 7)
    for text in ("head 1.2 * 0", "neuron 0.3 = 1.5", "W_Q[1, 2][7, 3] * -1", "head 0.1 × 2"):
        assert read_dial(model, text).turn == text.replace("×", "*")
