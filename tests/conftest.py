"""Fixtures that every test may use; no file, no network."""

import os

import pytest
import torch

from interp.models.gpt import GPT
from tests.families import FAMILIES, tiny

torch.set_num_threads(1)
os.environ["INTERP_CACHE"] = "off"  # nothing outside the tests' own folders


@pytest.fixture(params=FAMILIES)
def any_model(request: pytest.FixtureRequest) -> GPT:
    """A tiny random model of each family in turn."""
    return tiny(request.param)


@pytest.fixture
def tiny_model() -> GPT:
    """A tiny random model of the GPT-2 family."""
    return tiny("gpt2")
