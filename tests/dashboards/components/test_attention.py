"""What the browser is sent: at most one step of 1/255 off, and every row still a distribution."""

from base64 import b64decode

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboards.components.attention import LEVELS, pack, quantised

SIZES = {"layers": st.integers(1, 3), "heads": st.integers(1, 3), "length": st.integers(1, 40)}


def patterns(layers: int, heads: int, length: int, sharpness: float, seed: int) -> torch.Tensor:
    """Causal attention patterns of random scores."""
    generator = torch.Generator().manual_seed(seed)
    scores = sharpness * torch.randn(layers, heads, length, length, generator=generator)
    future = torch.ones(length, length).triu(1).bool()
    return scores.masked_fill(future, -torch.inf).softmax(-1)


def unpack(packed: str, n_heads: int, length: int) -> np.ndarray:
    """The weights as the browser reads them."""
    rows, columns = np.tril_indices(length)
    steps = np.frombuffer(b64decode(packed), np.uint8).reshape(-1, n_heads, len(rows))
    weights = np.zeros((*steps.shape[:2], length, length))
    weights[:, :, rows, columns] = steps / LEVELS
    return weights


@settings(deadline=None, max_examples=40)
@given(**SIZES, sharpness=st.sampled_from([0.0, 1.0, 30.0]), seed=st.integers(0, 99))
def test_weights_come_back_within_a_step_and_rows_sum_to_one(
    layers, heads, length, sharpness, seed
):
    weights = patterns(layers, heads, length, sharpness, seed)
    unpacked = unpack(pack(weights), heads, length)
    assert unpacked.shape == tuple(weights.shape)
    assert np.abs(unpacked - weights.numpy()).max() <= 1 / LEVELS + 1e-6
    assert unpacked.sum(-1) == pytest.approx(1.0, abs=1e-9)
    assert (np.triu(unpacked, 1) == 0).all()


def test_each_weight_has_its_own_place():
    """A weight of one at (layer, head, query, key) comes back there and nowhere else."""
    weights = torch.zeros(2, 3, 5, 5)
    places = [(0, 0, 0, 0), (0, 2, 4, 1), (1, 1, 3, 3), (1, 2, 2, 0)]
    for index in places:
        weights[index] = 1.0
    unpacked = unpack(pack(weights), 3, 5)
    assert sorted(zip(*(axis.tolist() for axis in unpacked.nonzero()), strict=True)) == places


def test_what_is_sent_is_a_byte_a_weight_of_the_past():
    packed = pack(patterns(3, 4, 16, 1.0, 0))
    assert len(packed) == pytest.approx(3 * 4 * 16 * 17 / 2 * 4 / 3, abs=4)
    assert quantised(torch.ones(1, 1, 1, 1)).item() == LEVELS
