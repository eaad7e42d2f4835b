"""Newton-Schulz makes matrices orthogonal, and Muon is the plain update it says it is."""

import pytest
import torch

from interp.training.loop.muon import Muon, orthogonalize


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 8, 32), (2, 32, 8)])
def test_singular_values_come_near_one(shape):
    torch.manual_seed(0)
    spread = torch.linalg.svdvals(orthogonalize(torch.randn(shape)))
    assert spread.min() > 0.5 and spread.max() < 1.3


def test_directions_are_kept():
    """The result is close to U V^T of the singular value decomposition."""
    torch.manual_seed(1)
    matrix = torch.randn(1, 12, 20)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    cosine = torch.cosine_similarity((u @ v).flatten(), orthogonalize(matrix).flatten(), 0)
    assert cosine > 0.97


def test_a_batch_is_the_same_as_one_by_one():
    torch.manual_seed(2)
    stack = torch.randn(4, 8, 12)
    single = torch.cat([orthogonalize(matrix[None]) for matrix in stack])
    torch.testing.assert_close(orthogonalize(stack), single, atol=1e-5, rtol=1e-5)


def test_zero_gradient_leaves_the_weights():
    weight = torch.nn.Parameter(torch.ones(4, 4))
    weight.grad = torch.zeros(4, 4)
    Muon({"w": weight}, lr=0.1).step(lr_scale=1.0, momentum=0.9)
    assert torch.equal(weight, torch.ones(4, 4))


def test_the_update_is_the_plain_formula():
    torch.manual_seed(3)
    shapes = {"a": (8, 4), "b": (8, 4), "c": (4, 4)}
    weights = {name: torch.nn.Parameter(torch.randn(shape)) for name, shape in shapes.items()}
    expected = {name: w.detach().clone() for name, w in weights.items()}
    momenta = {name: torch.zeros(shape) for name, shape in shapes.items()}
    muon = Muon(weights, lr=0.1, weight_decay=0.5)
    for _ in range(3):
        for name, weight in weights.items():
            weight.grad = torch.randn(shapes[name])
            momenta[name] = 0.9 * momenta[name] + 0.1 * weight.grad
            nesterov = 0.1 * weight.grad + 0.9 * momenta[name]
            rows, columns = shapes[name]
            update = orthogonalize(nesterov[None])[0] * max(1, rows / columns) ** 0.5
            expected[name] = expected[name] * (1 - 0.05 * 0.5) - 0.05 * update
        muon.step(lr_scale=0.5, momentum=0.9)
    for name, weight in weights.items():
        torch.testing.assert_close(weight.detach(), expected[name], atol=1e-5, rtol=1e-5)


def test_parts_side_by_side_are_made_orthogonal_each_by_itself():
    torch.manual_seed(4)
    together = torch.nn.Parameter(torch.zeros(12, 4))
    apart = {name: torch.nn.Parameter(torch.zeros(n, 4)) for name, n in (("q", 8), ("k", 4))}
    together.grad = torch.randn(12, 4)
    apart["q"].grad, apart["k"].grad = together.grad[:8].clone(), together.grad[8:].clone()
    Muon({"qk": together}, lr=0.1, splits={"qk": [8, 4]}).step(lr_scale=1.0, momentum=0.9)
    Muon(apart, lr=0.1).step(lr_scale=1.0, momentum=0.9)
    torch.testing.assert_close(together, torch.cat([apart["q"], apart["k"]]))
