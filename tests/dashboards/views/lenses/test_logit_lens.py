"""The page of the lens: its numbers, a link, a followed word, a tuned lens, a long text."""

import json

import pytest
import torch

from dashboards.pickers import lens
from interp.models.io.load import load_model
from tests.dashboards.page.test_result_card import run

TEXT = "It is a sunny morning. Anna is in the garden."


def sent(test) -> dict:
    """What the grid was given."""
    (element,) = (each for each in test.get("bidi_component") if "panel" in each.proto.json)
    return json.loads(element.proto.json)


def test_the_last_row_is_the_model_s_own_softmax(application, model_root):
    test = application("logit_lens", prompt=TEXT)
    assert not test.exception and not test.error
    model = load_model(str(model_root / "stories-demo"))
    own = model(model.to_tokens(TEXT)[0])[0, -1].softmax(-1).topk(10)
    rows = sent(test)["panel"][0]["rows"]
    assert [token for token, _ in rows] == model.tokenizer.display(own.indices.tolist())
    torch.testing.assert_close(torch.tensor([p for _, p in rows]), own.values.detach())


def test_a_link_brings_back_the_cell_and_a_click_moves_it(application, monkeypatch):
    test = application("logit_lens", prompt=TEXT, lens_row="after layer 0", lens_pos="3: ·a")
    assert not test.exception and sent(test)["chosen"] == [1, 3]
    state = {lens.GRID: {"cell": [2, 5]}}
    monkeypatch.setattr(lens.st, "session_state", state)
    lens.follow_click()
    monkeypatch.undo()
    for name in (lens.ROW, lens.POS):
        test.selectbox(key=name).set_value(state[name])
    test.run()
    assert not test.exception and sent(test)["chosen"] == [2, 5]
    test.text_area(key="prompt").set_value("It is a").run()
    assert not test.exception and sent(test)["chosen"] == [2, 3]


def test_a_word_is_followed_and_its_colour_goes_when_it_goes(application):
    test = application("logit_lens", prompt=TEXT, follow=" garden")
    test.selectbox(key="lens_colour").set_value("rank").run()
    assert not test.exception and "·garden" in sent(test)["legend"]["unit"]
    (figure,) = test.get("plotly_chart")
    assert json.loads(figure.proto.spec)["data"][0]["name"] == "·garden"
    test.text_input(key="follow").set_value("").run()
    assert not test.exception and test.selectbox(key="lens_colour").value == "probability"
    test.text_input(key="follow").set_value("no such word").run()
    assert not test.exception and "one word; got 3" in test.warning[0].value.replace("\\", "")


def test_a_tuned_lens_is_trained_when_asked_for_and_stands_beside_the_raw_one(application):
    test = application("logit_lens", prompt=TEXT, lens_trust="true")
    assert [panel["title"] for panel in sent(test)["panel"]] == ["Raw lens"]
    button = next(each for each in test.button if each.label == "Train a tuned lens")
    button.click().run()
    assert not test.exception and not test.error
    assert [panel["title"] for panel in sent(test)["panel"]] == ["Raw lens", "Tuned lens"]
    assert len(test.get("plotly_chart")) == 2
    test.segmented_control(key="lens").set_value("tuned").run()
    assert not test.exception and test.markdown[1].value.startswith("**Tuned lens")
    test.toggle(key="code_logit_lens").set_value(True).run()
    again = run(test.code[-1].value)["result"]
    rows = sent(test)["panel"][1]["rows"]
    torch.testing.assert_close(
        torch.tensor([p for _, p in rows]), again.top_log_probs[-1, -1].exp()
    )


def test_few_texts_of_one_s_own_are_a_sentence(application):
    test = application("logit_lens", model="bytes", prompt="a garden")
    test.text_area(key="tune_texts").set_value("one\ntwo").run()
    next(each for each in test.button if each.label == "Train a tuned lens").click().run()
    assert not test.exception and "Five documents" in test.error[0].value


@pytest.mark.parametrize("pos", [0, 11])
def test_a_long_text_is_drawn_in_parts(application, monkeypatch, pos):
    monkeypatch.setattr(lens, "MOST_CELLS", 18)
    test = application("logit_lens", prompt=TEXT)
    test.selectbox(key="lens_pos").set_value(pos).run()
    assert not test.exception and "positions are drawn at a time" in test.info[0].value
    data = sent(test)
    assert len(data["columns"]) <= 6 and data["first"] == pos // 6 * 6


@pytest.mark.parametrize(
    ("word", "said"),
    [("garden", ""), (" garden", ""), ("zebra", "zebra"), ("the garden", "takes one word; got 2")],
)
def test_a_word_is_tracked_however_it_is_typed_and_a_wrong_one_leaves_the_lens(
    application, word, said
):
    text = "It is a sunny morning. Anna is in the"
    test = application("logit_lens", model="stories-demo", prompt=text, follow=word)
    assert not test.exception and not test.error
    assert test.get("bidi_component"), "the grid is there"
    tracked = [each.value for each in test.subheader if "tracked token" in each.value]
    warnings = [each.value.replace("\\", "") for each in test.warning]
    assert bool(tracked) == (said == "") and all(said in each for each in warnings)
    assert len(warnings) == (said != "")
