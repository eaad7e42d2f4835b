"""What takes long waits for a word; meanwhile what was measured before stays."""

import pytest
from streamlit.testing.v1 import AppTest


def page() -> None:
    """A page of two settings and the weights of a model."""
    import streamlit as st

    from dashboards.page.run_button import applied_settings

    settings = {"seed": st.number_input("Seed", 0), "words": st.text_input("Words", "<b>")}
    is_known = st.toggle("Known")
    applied = applied_settings("heads", st.text_input("Weights", "a"), settings, is_known=is_known)
    st.code(f"{applied['seed']} {applied['words']}")


def opened() -> AppTest:
    return AppTest.from_function(page).run()


def measured(test: AppTest) -> str:
    assert not test.exception
    return test.code[0].value


def buttons(test: AppTest) -> list[str]:
    return [button.label for button in test.button]


def test_the_first_settings_are_measured_at_once():
    test = opened()
    assert measured(test) == "0 <b>" and buttons(test) == []


def test_changed_settings_wait_for_the_button_and_say_what_is_shown():
    test = opened()
    test.number_input[0].set_value(3).run()
    test.text_input[0].set_value("new").run()
    assert measured(test) == "0 <b>" and buttons(test) == ["Run again"]
    assert "seed 0" in test.caption[0].value and "words \\<b\\>" in test.caption[0].value
    test.button[0].click().run()
    assert measured(test) == "3 new" and buttons(test) == []


def test_settings_that_are_taken_back_need_no_button():
    test = opened()
    test.number_input[0].set_value(3).run()
    test.number_input[0].set_value(0).run()
    assert measured(test) == "0 <b>" and buttons(test) == []


def test_what_is_known_and_what_is_of_other_weights_is_shown_at_once():
    test = opened()
    test.number_input[0].set_value(3)
    test.toggle[0].set_value(True).run()
    assert measured(test) == "3 <b>" and buttons(test) == []
    test.toggle[0].set_value(False)
    test.number_input[0].set_value(4)
    test.text_input[1].set_value("b").run()
    assert measured(test) == "4 <b>" and buttons(test) == []


@pytest.mark.slow
def test_a_result_on_request_waits_for_the_button_and_is_there_at_once_afterwards(application):
    def measured(test: AppTest) -> bool:
        assert not test.exception and not test.error
        return bool(test.get("plotly_chart"))

    test = application("comprehension", read="20")
    button = next(each for each in test.button if each.label == "Ask")
    assert not measured(test) and any("Press *Ask*" in each.value for each in test.caption)
    assert measured(button.click().run())
    assert not measured(application("comprehension", read="40"))
    assert measured(application("comprehension", read="20")), "another reader asked for it"
