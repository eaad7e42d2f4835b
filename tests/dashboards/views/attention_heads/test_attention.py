"""The page of attention: its link, its states, what is added to the report, the way from a head."""

import json

import pytest
import torch

from dashboards.pickers import heads
from tests.dashboards.page.test_result_card import run

TEXT = "It is a sunny morning. Anna is in the garden."


def sent(test) -> dict:
    """What the component was given."""
    (element,) = (each for each in test.get("bidi_component") if "weights" in each.proto.json)
    return json.loads(element.proto.json)


def test_a_link_locks_a_word_in_a_head_and_the_report_keeps_both(application):
    test = application("attention", prompt=TEXT, layer="1", head="1", word="3: ·a")
    assert not test.exception and not test.error
    assert sent(test)["selection"] == {"layer": 1, "head": 1, "word": 3}
    test.button(key="add_attention").click().run()
    (part,) = test.session_state["report_parts"]
    assert part.options == {"view": "attention", "layer": 1, "head": 1, "word": 3, "look": "from"}


def test_a_pick_in_the_picture_moves_the_widgets(application, monkeypatch):
    test = application("attention", prompt=TEXT)
    state = {heads.COMPONENT: {"at": {"layer": 1, "head": -1, "word": 2}}}
    monkeypatch.setattr(heads.st, "session_state", state)
    heads.follow_click()
    monkeypatch.undo()
    assert (state["layer"], state["head"], state["word"]) == ("1", "all", "2")
    for name in ("layer", "head", "word"):
        test.selectbox(key=name).set_value(state[name])
    test.run()
    assert not test.exception and sent(test)["selection"] == {"layer": 1, "head": -1, "word": 2}
    assert test.selectbox(key="combine").value == "mean"


def test_a_shorter_text_frees_a_word_that_is_gone(application):
    test = application("attention", prompt=TEXT)
    test.selectbox(key="word").set_value("9").run()
    test.text_area(key="prompt").set_value("It is a").run()
    assert not test.exception and sent(test)["selection"]["word"] == -1


def test_the_python_below_the_heads_effects_gives_the_same_numbers(application):
    test = application("attention", prompt=TEXT, show="Effect on the answer")
    assert not test.exception and not test.error
    test.toggle(key="code_attention").set_value(True).run()
    again = run(test.code[-1].value)["result"]
    torch.testing.assert_close(again.change.tolist(), sent(test)["notes"]["effect"])


def test_what_is_too_large_is_one_layer_until_all_is_asked_for(application, monkeypatch):
    monkeypatch.setattr(heads, "MOST_BYTES", 10)
    test = application("attention", prompt=TEXT, layer="1")
    assert sent(test)["layers"] == [1] and "only layer 1" in test.info[0].value
    test.toggle(key="draw_all").set_value(True).run()
    assert sent(test)["layers"] == [0, 1] and not test.exception


def test_many_heads_are_measured_only_when_asked_for(application, monkeypatch):
    monkeypatch.setattr("dashboards.views.attention_heads.attention.MANY", 1)
    new = TEXT.replace("sunny", "rainy")  # What was measured for another reader is there at once.
    test = application("attention", prompt=new, show="Effect on the answer")
    assert sent(test)["notes"]["effect"] == []
    button = next(each for each in test.button if "heads in turn" in each.label)
    button.click().run()
    assert not test.exception and len(sent(test)["notes"]["effect"]) == 2


def test_hostile_tokens_are_sent_as_they_are(application):
    text = "<b>x</b> <script>alert(1)</script>"
    test = application("attention", model="bytes", prompt=text)
    assert not test.exception and not test.error
    assert "<" in sent(test)["tokens"] and "&lt;" not in sent(test)["tokens"]


def test_the_table_of_heads_stands_beside_the_untrained(application):
    test = application("heads", sequences="8")
    assert not test.exception and not test.error
    frame = test.dataframe[-1].value
    assert frame["head"].tolist() == ["0.0", "0.1", "1.0", "1.1"]
    assert frame["untrained induction"].nunique() == 1
    assert frame["induction"].tolist() != pytest.approx([0.0] * 4)
