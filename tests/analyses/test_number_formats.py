"""Every instrument on a model of every number format, and on one whose numbers are none."""

import pytest
import torch

from interp.core.errors import NonFiniteError
from interp.results.registry import instruments
from tests.analyses.every_instrument import CALLS, STORIES, cast, measured, subject

pytestmark = pytest.mark.usefixtures("runs")
WITHOUT_WEIGHTS = {"learning_curve", "scaling_law"}
"""Instruments of records and sizes."""


def test_there_is_a_call_of_every_instrument():
    assert set(CALLS) == set(instruments())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in STORIES else []) for n in CALLS]
)
def test_it_measures_in_every_number_format(name, dtype):
    result = measured(name, cast(subject(name), dtype))
    assert result.finding() and "nan" not in result.finding()


@pytest.mark.parametrize("weight", ["attn.qkv.weight", "mlp.up.weight"])
@pytest.mark.parametrize("name", sorted(set(CALLS) - WITHOUT_WEIGHTS))
def test_it_measures_nothing_of_numbers_that_are_none(name, weight):
    model = cast(subject(name), torch.float32)
    with torch.no_grad():
        for each in (model, *model.history.values()):
            each.blocks[0].get_parameter(weight)[0, 0] = torch.nan
    with pytest.raises(NonFiniteError, match=r"finite|made one of nan"):
        measured(name, model)
