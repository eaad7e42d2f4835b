"""Shares of a change of the loss: they add up, and each is what brute force says."""

import numpy as np
import pytest
import torch

from interp.analyses.attribution._loss_path_integral import path_integral
from interp.analyses.attribution._parameter_sums import component_sums
from interp.analyses.attribution.loss_change_allocation import (
    LossChangeAllocation,
    loss_change_allocation,
)
from interp.core.errors import ConfigError, NotEnoughDataError
from interp.methods.parameters import losses_of, parameters_of
from interp.models.io.load import load_model
from interp.plots.attribution.loss_change_allocation import VIEWS, figure
from interp.training.loop.pretrain import train
from tests.analyses.short_history import short_history
from tests.analyses.tiny_world import TinyWorld
from tests.training.tiny_run import tiny_config, write_tiny_corpus

TEXTS = tuple(TinyWorld().sample(seed, split="held_out").text for seed in range(3))


@pytest.fixture(scope="module")
def result() -> LossChangeAllocation:
    return loss_change_allocation(short_history(), TEXTS, steps=(0, 1, 3, 6))


def weights(step: int) -> dict[str, torch.Tensor]:
    return parameters_of(short_history().history[step], dtype=torch.float64)


def true_loss(params: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mean nats per predicted token over all texts."""
    model = short_history()
    rows = [torch.tensor([model.tokenizer.encode(text)]) for text in TEXTS]
    sums = [losses_of(model, params, row).sum() for row in rows]
    return sum(sums) / sum(row.shape[1] - 1 for row in rows)


def test_the_losses_are_the_model_s_and_the_shares_add_up(result):
    for step, loss in zip(result.steps, result.losses.tolist(), strict=True):
        assert loss == pytest.approx(float(true_loss(weights(step)).detach()), abs=1e-6)
    assert result.residuals.abs().max() <= 0.002
    for parts in (result.by_tensor, result.by_layer):
        torch.testing.assert_close(parts.sum(1), result.totals, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(result.lowered + result.raised, result.totals, atol=1e-6, rtol=1e-5)
    assert (result.lowered <= 0).all() and (result.raised >= 0).all()


def test_the_usual_estimate_is_the_gradient_times_the_move(result):
    start, end = weights(0), weights(1)
    grads = torch.autograd.grad(true_loss(start), list(start.values()))
    pairs = zip(grads, start, strict=True)
    expected = sum(((end[name] - start[name]) * grad).sum() for grad, name in pairs)
    assert float(result.first_order[0]) == pytest.approx(float(expected.detach()), rel=1e-5)


def test_each_share_is_what_many_small_pieces_of_the_line_say(result):
    start, end, pieces = weights(3), weights(6), 64
    shares = {name: torch.zeros_like(p) for name, p in start.items()}
    for i in range(pieces):
        t = (i + 0.5) / pieces
        here = {n: (p + t * (end[n] - p)).detach().requires_grad_() for n, p in start.items()}
        grads = torch.autograd.grad(true_loss(here), list(here.values()))
        for name, grad in zip(here, grads, strict=True):
            shares[name] += (grad * (end[name] - start[name]) / pieces).detach()
    dense = torch.cat([value.flatten() for value in shares.values()])
    top = dense.abs().topk(len(result.top[2])).values
    torch.testing.assert_close(result.top_shares[2].abs(), top.float(), atol=2e-5, rtol=2e-2)
    heads = shares["blocks.0.attn.out.weight"][:, 8:].sum()
    heads += sum(shares["blocks.0.attn.qkv.weight"][at : at + 8].sum() for at in (8, 24, 40))
    heads += sum(shares["blocks.0.attn.qkv.bias"][at : at + 8].sum() for at in (8, 24, 40))
    assert float(result.by_head[2, 0, 1]) == pytest.approx(float(heads), abs=2e-4)
    neuron = shares["blocks.1.mlp.up.weight"][5].sum() + shares["blocks.1.mlp.up.bias"][5]
    neuron += shares["blocks.1.mlp.down.weight"][:, 5].sum()
    assert float(result.by_neuron[2, 1, 5]) == pytest.approx(float(neuron), abs=2e-5)
    helping = float((dense < 0).sum() / (dense != 0).sum())
    assert float(result.helping[2]) == pytest.approx(helping, abs=0.01)


def test_finer_intervals_are_taken_until_the_sum_is_right(result):
    coarse = loss_change_allocation(
        short_history(), TEXTS, steps=(0, 6), tolerance=1e-9, most_points=4
    )
    fine = loss_change_allocation(short_history(), TEXTS, steps=(0, 6), tolerance=1e-9)
    assert coarse.points.tolist() == [4] and fine.points[0] > 10
    assert coarse.part_errors.isnan().all() and "errors of single parts not known" in str(coarse)
    assert (fine.part_errors < 0.1 * fine.by_tensor.abs().max()).all()
    assert fine.residuals.abs()[0] < coarse.residuals.abs()[0]
    assert "straight line between the two weights, not the path" in fine.caption()


def test_on_a_parabola_gauss_is_exact_and_one_halving_shows_it():
    start, end = {"x": torch.zeros(2).double()}, {"x": torch.tensor([1.0, -3.0]).double()}

    def loss(params):
        value = (params["x"] ** 2).sum()
        if value.requires_grad:
            value.backward()
        return float(value.detach())

    def coordinates(shares):
        return shares["x"].clone()

    integral = path_integral(start, end, loss, coordinates, tolerance=1e-12)
    torch.testing.assert_close(integral.shares["x"], torch.tensor([1.0, 9.0]).double())
    assert integral.points == 10 and integral.part_errors.max() < 1e-12
    assert (integral.first_order, integral.start, integral.end) == (0, 0, 10)
    few = path_integral(start, end, loss, coordinates, tolerance=1e-12, most=4)
    assert few.points == 4 and few.total == pytest.approx(10) and few.part_errors.isnan().all()


def finer_shares(start, end, pieces):
    """The shares from `pieces` equal intervals of Gauss' rule, whose points NumPy knows."""
    points, amounts = np.polynomial.legendre.leggauss(5)
    shares = {name: torch.zeros_like(p) for name, p in start.items()}
    for piece in range(pieces):
        for point, amount in zip((points + 1) / 2, amounts / 2, strict=True):
            t = (piece + point) / pieces
            here = {n: (p + t * (end[n] - p)).detach().requires_grad_() for n, p in start.items()}
            grads = torch.autograd.grad(true_loss(here), list(here.values()))
            for name, grad in zip(here, grads, strict=True):
                shares[name] += grad * (end[name] - start[name]).detach() * amount / pieces
    return shares


@pytest.mark.parametrize("tolerance", [0.5, 0.002])
def test_no_part_is_further_from_a_finer_integral_than_the_error_that_is_told(tolerance):
    """The sum may be right by chance: errors of parts of either sign cancel in it."""
    steps = (0, 6)
    told = loss_change_allocation(short_history(), TEXTS, steps=steps, tolerance=tolerance)
    start, end = map(weights, steps)
    pieces = 2 * int(told.points[0])
    dense = component_sums(short_history(), finer_shares(start, end, pieces))
    tensors = torch.tensor(list(dense.tensors.values()))
    gaps = [
        (ours[0].double() - other).abs().max()
        for ours, other in (
            (told.by_tensor, tensors), (told.by_layer, dense.layers), (told.by_head, dense.heads),
            (told.by_neuron, dense.neurons),
        )
    ]  # fmt: skip
    assert 0 < max(gaps) <= told.part_errors[0] < tensors.abs().max()
    said = f"no part's share by more than {told.part_errors[0]:.2g}"
    assert said in told.finding() and said in told.caption()


def test_a_real_run_that_keeps_every_step_is_accounted_for_step_by_step(tmp_path):
    corpus = write_tiny_corpus(tmp_path)
    train(tiny_config(steps=5, checkpoint_every=1), corpus, tmp_path / "run", device="cpu")
    model = load_model(tmp_path / "run")
    assert tuple(model.history) == (0, 1, 2, 3, 4, 5)
    before = model.hash
    result = loss_change_allocation(model, [" the cat sat on mat .", " a dog ran in park ."])
    assert result.residuals.abs().max() <= 0.002 and not result.straight
    assert "Every stretch is one training step" in result.caption()
    assert model.hash == before and all(p.grad is None for p in model.parameters())


def test_it_is_told_kept_and_drawn(result, tmp_path):
    assert "chance: 50%" in result.finding() and "n = 3 texts" in result.caption()
    frame = result.frame()
    kinds = {name.removesuffix("_nats_per_token") for name in frame["quantity"]}
    assert kinds == {"tensor", "layer", "head", "neuron", "weight"}
    assert set(frame["stretch"]) == set(result.stretches)
    assert LossChangeAllocation.load(result.save(tmp_path / "kept")) == result
    for view in VIEWS:
        assert figure(result, view=view, stretch=1).data
    with pytest.raises(ConfigError, match="view needs to be one of"):
        figure(result, view="pies")
    assert "interp.loss_change_allocation(" in result.code()


def test_what_cannot_be_done_is_a_sentence():
    with pytest.raises(NotEnoughDataError, match="two checkpoints"):
        loss_change_allocation(short_history().history[0], TEXTS)
    with pytest.raises(NotEnoughDataError, match="got neither"):
        loss_change_allocation(short_history())
    with pytest.raises(ConfigError, match="most_points of 4 or more; got 7"):
        loss_change_allocation(short_history(), TEXTS, most_points=2)
