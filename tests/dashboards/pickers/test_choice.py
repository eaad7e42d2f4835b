"""One option of several: what is no longer offered is forgotten, and the first one holds."""

import pytest
from streamlit.testing.v1 import AppTest


def page() -> None:
    """A page whose options depend on what is opened."""
    import streamlit as st

    from dashboards.pickers.choice import choice, forget_what_is_gone, listed_choice

    names = {"loss": "Loss", "answers": "Answers"}
    offered = {"loss": "Loss"} if st.toggle("Another model") else names
    st.code(f"{choice('View', offered, 'view')} {listed_choice('List', offered, 'list')}")
    forget_what_is_gone("several", offered)
    st.multiselect("Several", list(offered), key="several")


@pytest.fixture
def opened() -> AppTest:
    return AppTest.from_function(page).run()


def test_the_first_option_holds_and_is_called_by_its_words(opened):
    assert opened.code[0].value == "loss loss"
    assert opened.selectbox[0].options == ["Loss", "Answers"]


def test_an_option_that_another_model_does_not_offer_is_forgotten(opened):
    opened.segmented_control(key="view").set_value("answers")
    opened.selectbox(key="list").set_value("answers")
    opened.multiselect(key="several").set_value(["answers"]).run()
    assert opened.code[0].value == "answers answers"
    opened.toggle[0].set_value(True).run()
    assert not opened.exception and opened.code[0].value == "loss loss"
    assert opened.multiselect(key="several").value == []
