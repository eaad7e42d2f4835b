"""The page of the world model: nothing is trained unasked, and a story is edited."""

import re

import pytest

from dashboards.views.behavior import fidelity
from tests.dashboards.browsing import SHIPPED


def words(test) -> str:
    kinds = (test.markdown, test.caption, test.error, test.info)
    elements = "\n".join(str(element.value) for kind in kinds for element in kind)
    return re.sub(r"\\([^\w\s])", r"\1", elements)


def test_a_model_without_a_course_is_told_what_it_needs(application):
    test = application("fidelity", model="stories-demo")
    assert not test.exception and not test.error
    assert "three checkpoints or models" in words(test)


def test_a_model_of_other_text_is_told_so(application):
    test = application("fidelity", model="bytes")
    assert not test.exception and not test.error
    assert "needs a model that was trained on a simulated world" in words(test)


@pytest.mark.slow
def test_every_checkpoint_is_read_only_when_asked(application, monkeypatch):
    monkeypatch.setattr(fidelity, "MOST_STEPS", 3)  # the fewest that can be compared
    test = application("fidelity", folder=SHIPPED)
    assert not test.exception and not test.error and not test.get("plotly_chart")
    assert test.button(key="read_all").label == "Probe every checkpoint"
    test.get("button_group")[1].unselect("mood").run()
    test.button(key="read_all").click().run()
    assert not test.exception and not test.error
    assert len(test.get("plotly_chart")) == 1
    assert "n = 3 checkpoints of 1 run" in words(test)


@pytest.mark.slow
def test_an_edit_is_measured_only_when_asked_and_a_story_follows(application):
    test = application(
        "fidelity", folder=SHIPPED, part="Edit the state", edit_story="1", new_place="park"
    )
    assert not test.exception and not test.error and not test.get("plotly_chart")
    test.button(key="measure_edit").click().run()
    assert not test.exception and not test.error
    assert len(test.get("plotly_chart")) == 1
    before, after = (table.value for table in test.dataframe[:2])
    assert before["answer"][0] == "Harbor" and after["answer"][0] == "Park"
    assert "The edit acts at the token **harbor**" in words(test)
    test.slider(key="edit_dose").set_value(0.0).run()
    before, after = (table.value for table in test.dataframe[:2])
    assert before.equals(after)
    test.toggle(key="code_state_edit").set_value(True).run()
    assert "interp.state_edit(" in test.code[0].value
