"""The page of dials: suggestions, sliders, reset, a link, any part by its name."""

import interp
from tests.dashboards.page.test_result_card import run

TEXT = "It is a sunny morning. Anna is in the"
HEAD = {"prompt": TEXT, "dials": "head 1.0"}


def words(test) -> str:
    return "\n".join(each.value for each in (*test.markdown, *test.caption)).replace("\\", "")


def test_a_newcomer_finds_dials_that_count_and_a_turn_moves_the_answer(application):
    test = application("component_scaling", prompt=TEXT)
    assert not test.exception and not test.error
    box = test.multiselect(key="dials").value
    assert [name.split(" ")[0] for name in box[:2]] == ["head", "neuron"] and len(box) == 3
    sliders = [each for each in test.main.slider if each.key.startswith("turn_")]
    assert len(sliders) == 3 and "No component is scaled" in words(test)
    sliders[0].set_value(-2.0).run()
    assert not test.exception and f"{box[0]} * -2:" in words(test)
    test.button(key="reset").click().run()
    assert not test.exception and "No component is scaled" in words(test)


def test_a_link_brings_the_turn_back_and_the_python_gives_the_same(application, model_root):
    before = interp.load_model(str(model_root / "stories-demo")).hash
    test = application("component_scaling", **HEAD, turn_head_1_0="0.0")
    assert not test.exception and "head 1.0 * 0:" in words(test)
    test.toggle(key="code_component_scaling").set_value(True).run()
    again = run(test.code[-1].value)["result"]
    assert again.turns == ("head 1.0 * 0",) and str(again) in words(test)
    assert f"weights {before[:8]}" in words(test)


def test_any_part_can_be_named_and_what_is_none_is_a_sentence(application):
    test = application("component_scaling", prompt=TEXT, dials="W_E[5, 3]")
    assert not test.exception and not test.error
    (slider,) = (each for each in test.main.slider if each.key == "turn_W_E_5_3")
    slider.set_value(slider.max).run()
    assert not test.exception and "W_E[5, 3] = " in words(test)
    wrong = application("component_scaling", prompt=TEXT, dials="<b>head 9.9</b>")
    assert not wrong.exception and "A change of a component is" in wrong.error[0].value


def test_what_counts_most_is_listed_and_no_dial_at_all_is_fine(application):
    test = application("component_scaling", prompt=TEXT, show_pulls="true")
    assert not test.exception and len(test.get("plotly_chart")) == 3
    test.multiselect(key="dials").set_value([]).run()
    assert not test.exception and not test.error and "No component is scaled" in words(test)
