"""The page of blame: a mistake, the loss between checkpoints, and the texts that were learned."""

import json

import pytest

from tests.dashboards.browsing import HOSTILE, SHIPPED
from tests.dashboards.page.test_result_card import run

ASKED = {"lesson": "It is a sunny morning. Anna is in the", "right": " garden"}
DEMO = {"folder": SHIPPED, "model": "stories-demo", **ASKED}


def words(test) -> str:
    return "\n".join(each.value for each in (*test.markdown, *test.caption)).replace("\\", "")


def opened(application, **query):
    test = application("blame", **query)
    assert not test.exception and not test.error
    return test


def test_one_mistake_by_every_measure_and_part_and_its_python(application):
    test = opened(application, **ASKED)
    assert "There is no path: no history" in words(test)
    for part in ("heads", "tokens", "weights"):
        test.segmented_control(key="part").set_value(part).run()
        assert not test.exception and len(test.get("plotly_chart")) == 1
    test.segmented_control(key="measure").set_value("gradient_times_weight").run()
    assert list(test.dataframe[0].value) == ["weight", "predicted change", "true change"]
    test.toggle(key="code_blame").set_value(True).run()
    assert str(run(test.code[-1].value)["result"]) in words(test)


def test_the_shares_since_the_first_weights_add_up(application):
    test = opened(application, **DEMO, measure="Path from initialization")
    assert "These shares add up to within 0." in words(test)


def test_the_loss_between_two_checkpoints_and_a_model_without_them(application):
    test = opened(application, **DEMO, about="The loss", share="Heads")
    assert "from step 0 to 16" in words(test) and len(test.get("plotly_chart")) == 1
    test.selectbox(key="stretch").set_value("all").run()
    assert test.get("plotly_chart") == []
    assert [button.key for button in test.button if button.key == "ask_allocation"]
    bare = opened(application, about="The loss")
    assert "two or more checkpoints" in bare.info[0].value


def test_training_texts_are_scored_when_asked_and_told_word_by_word(application):
    test = opened(application, **ASKED, about="Training texts", stories="20")
    assert test.get("plotly_chart") == []
    test.button(key="ask_influence").click().run()
    assert not test.exception and not test.error and len(test.get("plotly_chart")) == 1
    sent = [json.loads(each.proto.json or "{}") for each in test.get("bidi_component")]
    (data,) = (each for each in sent if "labels" in each)
    assert data["tokens"] and "adds" in data["labels"][0]
    assert "Rank correlation with shared words" in words(test)


@pytest.mark.parametrize("about", ["One mistake", "The loss", "Training texts"])
def test_a_model_of_other_text_gets_an_answer_or_a_sentence(application, about):
    test = application("blame", model="bytes", about=about, lesson=HOSTILE, right="<b>")
    assert not test.exception
    assert test.info or test.get("plotly_chart") or test.error
    assert "<script>" not in words(test).replace("\\<", "") or about == "One mistake"
