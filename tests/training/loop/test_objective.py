"""The objective is the weighted surprisal, and evaluation is the plain one beside its floor."""

import contextlib

import pytest
import torch

from interp.models.gpt import GPT
from interp.training.data.batches import Batch
from interp.training.distributed import ProcessGroup
from interp.training.loop.evaluate import HeldOut
from interp.training.loop.objective import Objective, counts
from tests.training.tiny_run import tiny_config


@pytest.fixture
def model():
    return GPT(tiny_config(dropout=0.0).model)


def _rows(n_rows, seed=0):
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(20, (n_rows, 17), generator=generator)
    weights = torch.randint(0, 4, (n_rows, 17), generator=generator).float()
    floor = torch.rand(n_rows, 17, generator=generator)
    return Batch(tokens=tokens, weights=weights, floor=floor)


def _surprisals(model, tokens):
    logits = model(tokens[:, :-1]).log_softmax(-1)
    return -logits.gather(2, tokens[:, 1:, None])[..., 0]


def test_it_is_the_weighted_sum_over_all_but_the_first_token(model):
    rows = _rows(4)
    nats, weights = _surprisals(model, rows.tokens), rows.weights[:, 1:]
    objective, plain = Objective(model)(rows.tokens, rows.weights)
    torch.testing.assert_close(objective, (nats * weights).sum())
    torch.testing.assert_close(plain, nats[weights > 0].sum())
    assert counts(rows.weights).tolist() == [weights.sum(), (weights > 0).sum()]


def test_a_token_of_weight_zero_has_no_gradient(model):
    rows = _rows(2)
    weights = torch.zeros_like(rows.weights)
    weights[0, 5] = 1.0
    Objective(model)(rows.tokens, weights)[0].backward()
    used = set(rows.tokens[0, :5].tolist())
    gradient = model.embed.weight.grad.abs().sum(1)
    assert {i for i, size in enumerate(gradient.tolist()) if size > 0} <= used


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_evaluation_counts_each_token_once(model, batch_size):
    rows = _rows(7)
    counted = rows.weights[:, 1:] > 0
    held_out = HeldOut(rows, batch_size, ProcessGroup())
    record = held_out.evaluate(model, contextlib.nullcontext)
    loss = _surprisals(model, rows.tokens)[counted].mean().item()
    floor = rows.floor[:, 1:][counted].mean().item()
    assert record["loss_nats_per_token"] == pytest.approx(loss, abs=1e-5)
    assert record["floor_nats_per_token"] == pytest.approx(floor, abs=1e-5)
    assert record["regret_nats_per_token"] == pytest.approx(loss - floor, abs=1e-5)
    assert record["tokens"] == counted.sum()
    assert model.training


def test_ranks_share_the_rows_and_all_make_as_many_passes():
    rows = _rows(7)
    shares = [HeldOut(rows, 4, ProcessGroup(rank, 3)) for rank in range(3)]
    assert len({len(share._tokens) for share in shares}) == 1
    assert sum(int(share._counted.sum()) for share in shares) == (rows.weights[:, 1:] > 0).sum()
