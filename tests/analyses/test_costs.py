"""Every instrument says what it will cost before its first pass, and then how far it is."""

import pytest

from interp.core import cost
from interp.core.progress import listening
from interp.models.gpt import GPT
from tests.analyses.every_instrument import CALLS, STORIES, glad, measured, subject

pytestmark = pytest.mark.usefixtures("runs")
WITHOUT_PASSES = {"learning_curve", "scaling_law"}
"""Instruments of records, which no model runs for."""
AT_MOST = {"blame"}
"""Instruments that say what they may need: their path ends as soon as its sum is exact."""


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in STORIES else []) for n in CALLS]
)
def test_it_tells_its_whole_cost_first_and_then_how_far_it_is(name, monkeypatch):
    model, announced, reports, run = subject(name), [], [], [0]
    if name.startswith("steering"):
        glad(model)  # an instrument of its own

    def estimate(model, work):
        announced.append((sum(each.count * each.tokens for each in work.passes), run[0]))
        return own_estimate(model, work)

    def residual(self, tokens, *others, **options):
        run[0] += tokens.numel()
        return own_residual(self, tokens, *others, **options)

    own_estimate, own_residual = cost._estimate, GPT.residual
    monkeypatch.setattr(cost, "_estimate", estimate)
    monkeypatch.setattr(GPT, "residual", residual)
    with listening(reports.append):
        measured(name, model)
    if name in WITHOUT_PASSES:
        assert run[0] == 0 and not announced
        return
    tokens, before = announced[0]
    assert before == 0 and any(not report.is_cost for report in reports)
    assert run[0] / 3 <= tokens and (name in AT_MOST or tokens <= 3 * run[0])
    shares = [report.share for report in reports]
    assert shares == sorted(shares), "a bar never goes back"
