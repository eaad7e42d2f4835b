"""Parameters as numbers: a loss of other weights, and names that lead back to the weight."""

import re
from types import SimpleNamespace

import pytest
import torch

from interp.analyses.attribution._parameter_sums import SliceSums
from interp.core.errors import ConfigError
from interp.core.surprisal import weighted_mean
from interp.methods.parameters import (
    losses_of,
    parameters_of,
    slices,
    weight_matrices,
    weight_name,
)
from tests.families import FAMILIES, tiny

every_family = pytest.mark.parametrize("family", FAMILIES)
NAME = re.compile(r"([A-Za-z_\d.]+?)(?:\[(\d+)(?:, (\d+))?\])?\[([\d, ]+)\]")
TOKENS = torch.randint(0, 29, (3, 12), generator=torch.Generator().manual_seed(0))


@every_family
def test_each_parameter_is_in_exactly_one_slice(family):
    model = tiny(family)
    seen = {name: torch.zeros(p.shape) for name, p in model.named_parameters()}
    for part in slices(model):
        seen[part.tensor][part.index] += 1
    assert all(bool((count == 1).all()) for count in seen.values())


@every_family
def test_the_sum_over_a_slice_is_that_of_its_numbers(family):
    model = tiny(family)
    params = parameters_of(model)
    sums = {name: SliceSums.of(value) for name, value in params.items()}
    for part in slices(model):
        expected = params[part.tensor].detach()[part.index].sum(dtype=torch.float64)
        assert sums[part.tensor].at(part.index) == pytest.approx(float(expected), abs=1e-12)


@every_family
def test_a_slice_holds_what_its_label_says(family):
    model = tiny(family)
    params = parameters_of(model)
    for part in slices(model):
        if part.label.startswith(("W_Q", "W_K", "W_V", "W_O")):
            name = part.label.partition("[")[0]
            expected = model.weight((name, part.layer))[part.number].T
        elif part.kind == "neuron":
            expected = model.weight((part.matrix.partition("[")[0], part.layer))
            expected = expected[part.number] if part.matrix[0] == "b" else expected
            out = part.matrix.startswith("W_out")
            if expected.ndim == 2:
                expected = expected[part.number] if out else expected[:, part.number]
        else:
            continue
        assert torch.equal(params[part.tensor][part.index], expected), part.label


@every_family
def test_the_name_of_a_single_weight_leads_to_it(family):
    model = tiny(family)
    for tensor, values in parameters_of(model).items():
        for place in torch.randint(0, values.numel(), (8,)).tolist():
            name = weight_name(model, tensor, place)
            short, layer, head, inner = NAME.fullmatch(name).groups()
            weight = model.weight(short if layer is None else (short, int(layer)))
            weight = weight if head is None else weight[int(head)]
            value = weight[tuple(map(int, inner.split(", ")))]
            assert value == values.detach().flatten()[place], name


@every_family
def test_the_loss_is_the_models_own(family):
    model = tiny(family)
    weights = torch.rand(TOKENS.shape)
    params = parameters_of(model)
    torch.testing.assert_close(losses_of(model, params, TOKENS).mean(), model.loss(TOKENS))
    weighed = weighted_mean(losses_of(model, params, TOKENS), weights[:, 1:])
    torch.testing.assert_close(weighed, model.loss(TOKENS, weights))


def test_the_loaded_model_keeps_its_weights_and_gets_no_gradients():
    model = tiny("llama")
    before = model.hash
    params = parameters_of(model)
    losses_of(model, params, TOKENS).mean().backward()
    with torch.no_grad():
        params["embed.weight"] -= params["embed.weight"].grad
    assert model.hash == before and all(p.grad is None for p in model.parameters())


def test_other_weights_give_the_other_models_loss():
    model, other = tiny("gpt2"), tiny("gpt2", seed=1)
    value = losses_of(model, parameters_of(other), TOKENS).mean()
    torch.testing.assert_close(value, other.loss(TOKENS))


def test_leaves_can_be_more_precise_than_the_model():
    model = tiny("qwen3")
    value = losses_of(model, parameters_of(model, dtype=torch.float64), TOKENS).mean()
    assert value.dtype is torch.float64
    torch.testing.assert_close(value.float(), model.loss(TOKENS))


def test_a_foreign_model_is_refused_in_a_sentence():
    with pytest.raises(ConfigError, match="own layout; gpt2 is a SimpleNamespace"):
        parameters_of(SimpleNamespace(name="gpt2"))


def test_the_matrices_of_heads_lie_side_by_side():
    model = tiny("gpt2")
    matrices = weight_matrices(model)
    assert set(matrices) >= {("W_E",), ("W_pos",), ("W_U",), ("W_Q", 0), ("W_O", 0), ("W_in", 0)}
    assert ("W_gate", 0) not in matrices
    heads, d_head = model.weight(("W_Q", 0)), model.cfg.d_head
    assert torch.equal(matrices["W_Q", 0][:, d_head : 2 * d_head], heads[1].float())
    assert torch.equal(matrices["W_O", 0][d_head : 2 * d_head], model.weight(("W_O", 0))[1].float())
