"""Where every measurement costs too much, a page asks with a button, and goes on when told to."""

import json
from contextvars import ContextVar

import pytest
import streamlit as st

from dashboards.page import measurements
from dashboards.page.navigation import stems
from interp.core import cost
from interp.models.gpt import GPT
from interp.models.io.checkpoint import open_model, save_weights
from tests.dashboards.model_folders import make_model
from tests.dashboards.test_views import problems, words

ASKED, AGREE = "spent without asking", "Measure all the same"
STEPS = (0, 1, 2, 4, 8, 16)
WITHOUT_MEASUREMENTS = {"home", "train", "report"}
FREE = {"learning_curve", "regression_probe", "scaling_law"}
"""Pages that read what was measured before, or need a table first."""
LEFT_ALONE = ("Another example", "Add to report")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of a world with checkpoints, so that no page lacks what it measures."""
    root = tmp_path_factory.mktemp("runs")
    for seed, name in enumerate(("first", "second")):
        model = open_model(make_model(root / name, seed=seed))
        for step in STEPS:
            weights = GPT(model.cfg, model.tokenizer, seed=step).named_parameters()
            save_weights(root / name, step, dict(weights))
        record = json.loads((root / name / "run.json").read_text())
        record["recipe"] = {"batch_size": 4, "context": 16}
        (root / name / "run.json").write_text(json.dumps(record))
    return root


@pytest.fixture
def no_cost(monkeypatch):
    """Every measurement is above the limit, in the threads of pages too."""
    nothing = cost._Limit(seconds=0, gigabytes=0)
    limit = ContextVar("limit", default=nothing)
    monkeypatch.setattr(cost, "_limit", limit)
    measurements.forget()
    st.cache_resource.clear()


def agreements(test):
    """The buttons that go on; each estimate has one, and none is shown as an error."""
    assert problems(test) == []
    assert not any(ASKED in str(error.value) for error in test.error), words(test)
    estimates = [warning for warning in test.warning if ASKED in warning.value]
    buttons = [button for button in test.button if button.label == AGREE]
    assert len(estimates) == len(buttons), words(test)
    return buttons


@pytest.mark.slow  # all pages together
@pytest.mark.parametrize("stem", sorted({*stems()} - WITHOUT_MEASUREMENTS))
def test_every_page_asks_with_a_button(application, no_cost, runs, stem):
    test = application(stem, folder=runs, model="first")
    asked, pressed = len(agreements(test)), set()
    while fresh := [
        button
        for button in test.main.button
        if button.label not in (*pressed, *LEFT_ALONE, AGREE) and not button.disabled
    ]:
        pressed.add(fresh[0].label)
        fresh[0].click().run()
        asked += len(agreements(test))
    assert asked or stem in FREE


@pytest.mark.parametrize("stem", ["blame", "gradient_step"])
def test_the_search_for_mistakes_goes_on_when_told_to(application, no_cost, runs, stem):
    test = application(stem, folder=runs, model="first")
    for name in ("mistakes", stem):
        [button] = agreements(test)
        assert button.key == f"any_cost_{name}"
        button.click().run()
    assert agreements(test) == [] and len(test.selectbox(key="mistake").options) > 1
