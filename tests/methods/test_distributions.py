"""Divergence and entropy are those of the textbook, also where a probability is 0."""

import math

import pytest
import torch

from interp.methods.distributions import entropy_bits, kl_divergence


def test_they_are_those_of_torch_and_of_a_distribution_that_is_known() -> None:
    generator = torch.Generator().manual_seed(0)
    log_p, log_q = torch.randn(2, 3, 7, generator=generator).double().log_softmax(-1)
    theirs = torch.nn.functional.kl_div(log_q, log_p, log_target=True, reduction="none").sum(-1)
    torch.testing.assert_close(kl_divergence(log_p, log_q), theirs)
    assert kl_divergence(log_p, log_p).tolist() == [0.0] * 3
    assert float(entropy_bits(torch.full((16,), 1 / 16).log())) == pytest.approx(4.0)


def test_a_probability_of_zero_adds_nothing_and_what_q_excludes_costs_without_bound() -> None:
    sure, even = torch.tensor([1.0, 0.0]).log(), torch.tensor([0.5, 0.5]).log()
    assert float(entropy_bits(sure)) == 0.0
    assert float(kl_divergence(sure, even)) == pytest.approx(math.log(2))
    assert float(kl_divergence(sure, sure)) == 0.0
    assert float(kl_divergence(even, sure)) == math.inf
