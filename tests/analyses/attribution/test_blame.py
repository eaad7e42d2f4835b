"""Blame for one mistake: gradients are autograd's, sums add up, and single weights are found."""

import pytest
import torch

from interp.analyses.attribution.blame import Blame, blame
from interp.core.errors import ConfigError
from interp.methods.data.answer_loss import ASKED, held_out_pairs, losses_on
from interp.methods.parameters import parameters_of, weight_name
from interp.plots.attribution.blame import MEASURES, VIEWS, figure
from interp.plots.theme import CONTROL
from tests.analyses.short_history import short_history
from tests.analyses.tiny_world import TinyWorld

PROMPT, ANSWER = "Anna sits in the attic. Where is Anna? In the", " attic."


@pytest.fixture(scope="module")
def result() -> Blame:
    return blame(short_history(), prompt=PROMPT, answer=ANSWER, k=12)


def answer_loss(params: dict[str, torch.Tensor]) -> torch.Tensor:
    """Nats of the answer's tokens under other weights, by torch alone."""
    model = short_history()
    ids, right = model.tokenizer.encode(PROMPT), model.tokenizer.encode(ANSWER, bos=False)
    logits = torch.func.functional_call(model, params, (torch.tensor([ids + right]),))[0]
    log_probs = logits[len(ids) - 1 : -1].log_softmax(-1)
    return -log_probs.gather(1, torch.tensor(right)[:, None]).sum()


@pytest.fixture(scope="module")
def gradients() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Weight and gradient by name."""
    params = parameters_of(short_history(), dtype=torch.float64)
    grads = torch.autograd.grad(answer_loss(params), list(params.values()))
    pairs = zip(params.items(), grads, strict=True)
    return {name: (p.detach(), grad) for (name, p), grad in pairs}


def test_gradient_and_gradient_times_weight_are_autograd_s(result, gradients):
    whole = torch.cat([grad.flatten() for _, grad in gradients.values()])
    products = torch.cat([(p * grad).flatten() for p, grad in gradients.values()])
    assert float(result.totals[0]) == pytest.approx(float(whole.norm()), rel=1e-5)
    assert float(result.totals[1]) == pytest.approx(float(products.sum()), rel=1e-4)
    place = result.tensors.index("W_out[1]")
    weight, grad = gradients["blocks.1.mlp.down.weight"]
    assert float(result.by_tensor[0, place]) == pytest.approx(float(grad.norm()), rel=1e-5)
    neuron = float((weight * grad)[:, 7].sum())
    for part in ("up.weight", "up.bias"):
        weight, grad = gradients[f"blocks.1.mlp.{part}"]
        neuron += float((weight * grad)[7].sum())
    assert float(result.by_neuron[1, 1, 7]) == pytest.approx(neuron, abs=1e-6)


def test_sums_over_parts_are_the_whole(result):
    for number in (1, 2):
        assert float(result.by_tensor[number].sum()) == pytest.approx(
            float(result.totals[number]), abs=1e-5
        )
        torch.testing.assert_close(
            result.by_layer[number].sum(), result.totals[number], atol=1e-5, rtol=0
        )
    squares = result.by_tensor[0].square().sum()
    torch.testing.assert_close(squares.sqrt(), result.totals[0])


def test_the_path_adds_up_to_what_training_did_to_the_answer(result):
    model = short_history()
    ends = [parameters_of(m, dtype=torch.float64) for m in (model.history[0], model)]
    first, last = (float(answer_loss(params).detach()) for params in ends)
    assert result.first_loss == pytest.approx(first, abs=1e-6)
    assert result.loss_nats == pytest.approx(last, abs=1e-6)
    assert abs(float(result.totals[2]) - (last - first)) <= 0.002 * max(last, abs(last - first))
    assert abs(result.residual) <= 0.002


def test_the_largest_single_weights_are_those_of_a_dense_search(result, gradients):
    model = short_history()
    sizes = [
        (abs(float(value)), weight_name(model, name, place))
        for name, (weight, grad) in gradients.items()
        for place, value in enumerate((weight * grad).flatten())
    ]
    assert list(result.weights[1]) == [name for _, name in sorted(sizes, reverse=True)[:12]]


def test_without_a_weight_the_loss_truly_changes_so(result, gradients):
    model = short_history()
    sizes = {name: float((p * grad).abs().max()) for name, (p, grad) in gradients.items()}
    tensor = max(sizes, key=sizes.get)
    weight, grad = gradients[tensor]
    params = {name: p.detach() for name, (p, _) in gradients.items()}
    before = answer_loss(params)
    params[tensor] = weight.clone()
    params[tensor].view(-1)[(weight * grad).abs().argmax()] = 0
    change = float(answer_loss(params) - before)
    assert float(result.without[0]) == pytest.approx(change, abs=1e-6)
    assert model.get_parameter(tensor).count_nonzero() >= (weight != 0).sum()


def test_tokens_of_the_prompt_lead_the_vocabulary(result):
    known = set(result.tokens) | set(short_history().tokenizer.display(range(3)))
    assert result.vocabulary[0][0] in known | {"·attic"}
    assert result.by_vocabulary[0, 0] >= result.by_vocabulary[0, -1] >= 0


def test_a_world_gives_the_question_that_costs_most():
    model, world = short_history(), TinyWorld()
    result = blame(model, world=world, untrained=0)
    _, pairs = held_out_pairs(model, world, ASKED)
    assert result.loss_nats == pytest.approx(max(losses_on(model, pairs)), rel=1e-5)
    assert "no control" in result.finding()


def test_the_model_is_untouched_and_without_history_there_is_no_path():
    bare = short_history().history[3]
    before = bare.hash
    result = blame(bare, prompt=PROMPT, answer=ANSWER)
    assert bare.hash == before and all(p.grad is None for p in bare.parameters())
    assert result.first_step is None and result.by_tensor[2].isnan().all()
    assert "no path" in result.caption() and "no path" not in result.finding()
    with pytest.raises(ConfigError, match="needs an earlier checkpoint"):
        figure(result, measure="path")


def test_it_is_told_kept_and_drawn(result, tmp_path):
    assert "homogeneous" in result.caption() and "untrained" in result.finding()
    assert Blame.load(result.save(tmp_path / "kept")) == result
    frame = result.frame()
    assert {"by_vocabulary", "by_weight", "by_neuron"} < set(frame["quantity"])
    assert set(frame["removed"].dropna()) == set(result.weights[1])
    for view in VIEWS:
        for measure in MEASURES:
            assert figure(result, view=view, measure=measure).data
    assert "interp.blame(" in result.code()
    own = blame(short_history(), prompt=PROMPT, untrained=0)
    assert own.answer != own.said and own.loss_nats < result.loss_nats
    with pytest.raises(ConfigError, match="got neither"):
        blame(short_history())


@pytest.mark.parametrize("view", ["layers", "tensors", "neurons", "tokens"])
def test_a_length_does_not_wear_the_colour_of_what_raises_the_loss(result, view):
    assert figure(result, view=view).data[0].marker.color == CONTROL
    assert figure(result, view=view, measure="path").data[0].marker.color != CONTROL


def test_without_the_path_the_other_measures_are_the_same_numbers(result):
    quick = blame(short_history(), prompt=PROMPT, answer=ANSWER, k=12, path=False)
    assert quick.first_step is None and quick.by_tensor[2].isnan().all()
    assert torch.equal(quick.by_tensor[:2], result.by_tensor[:2])
    assert torch.equal(quick.untrained, result.untrained)
    with pytest.raises(ConfigError, match="path=True"):
        quick.figure(measure="path")
