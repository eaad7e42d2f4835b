"""The page of one gradient step: buttons, link, undo, answers, and the model stays as it is."""

import pytest

import interp
from dashboards.views.attribution.gradient_step import LOOKS
from tests.dashboards.page.test_result_card import run

TEXT, ANSWER = "It is a sunny morning. Anna is in the", " garden"


def opened(application, **query):
    test = application("gradient_step", lesson=TEXT, right=ANSWER, **query)
    assert not test.exception and [error.value for error in test.error] == []
    return test


def words(test) -> str:
    return "\n".join(each.value for each in (*test.markdown, *test.caption)).replace("\\", "")


def test_steps_are_taken_by_ten_and_undone_and_stand_in_the_link(application, model_root):
    before = interp.load_model(str(model_root / "stories-demo")).hash
    test = opened(application)
    assert "Nothing has moved yet" in words(test)
    test.button(key="one_step").click().run()
    assert not test.exception and "1 SGD step of" in words(test)
    test.button(key="ten_steps").click().run()
    assert test.number_input(key="taken").value == 11 and "11 SGD steps" in words(test)
    test.button(key="undo").click().run()
    assert test.number_input(key="taken").value == 0 and "Nothing has moved yet" in words(test)
    assert f"weights {before[:8]}" in words(test)
    again = opened(application, taken="11")
    assert "11 SGD steps" in words(again)


def test_the_python_on_the_page_gives_the_same_numbers(application, model_root):
    test = opened(application, taken="2", optimizer="AdamW", lr_adamw="0.002")
    test.toggle(key="code_gradient_step").set_value(True).run()
    again = run(test.code[-1].value)["result"]
    assert (again.steps, again.optimizer, again.lr) == (2, "adamw", 0.002)
    assert str(again) in words(test)


@pytest.mark.parametrize("look", list(LOOKS)[1:])
def test_every_look_draws_its_figure(application, look):
    test = opened(application, taken="1", look=LOOKS[look])
    assert len(test.get("plotly_chart")) == 1


def test_its_own_mistakes_are_offered_and_taken(application):
    test = application("gradient_step", taken="3")
    assert not test.exception and not test.error
    box = test.selectbox(key="mistake")
    box.set_value(box.options[2]).run()
    assert not test.exception and test.number_input(key="taken").value == 0
    assert test.text_area(key="lesson").value[-30:] in box.options[2]


def test_ones_own_prompts_are_watched_and_a_wrong_word_is_a_sentence(application):
    test = opened(application, taken="1", look="Other prompts", others="It is a\nIt is a sunny")
    assert "On 2 prompts that it was not for" in words(test)
    test.text_area(key="others").set_value("It is a zzz").run()
    assert not test.exception and "zzz" in test.error[0].value
    test.text_area(key="others").set_value("").run()
    test.text_input(key="right").set_value("garden").run()
    assert not test.error and "·garden" in words(test)


def test_without_a_world_it_teaches_any_text(application):
    test = application("gradient_step", model="bytes", taken="1")
    assert not test.exception and not test.error
    assert "1 SGD step" in words(test) and "On 1 prompt that" in words(test)
