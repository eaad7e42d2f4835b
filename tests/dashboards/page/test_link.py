"""A link that asks for what is not here opens what is, and one line says which is which."""

from collections.abc import Iterator

import pytest

from dashboards.page.navigation import stems
from tests.dashboards.test_views import QUICK, problems

TYPED = ("text_area", "text_input")
CHOSEN = ("selectbox", "multiselect", "segmented_control", "pills", "radio", "select_slider")
NUMBERS = ("number_input", "slider")
ODD = ("1" + "0" * 400, "nan", "<b>nope</b>")


def bound(test, kinds=(*TYPED, *CHOSEN, *NUMBERS, "toggle")) -> Iterator:
    """The widgets of a page whose values stand in the address."""
    for kind in kinds:
        for widget in getattr(test, kind):
            if widget.proto.query_param_key:
                yield widget


def warnings(test) -> list[str]:
    return [each.value.replace("\\", "").replace("\u2060", "") for each in test.warning]


def said(test) -> str:
    """The line that says what the link asks for in vain; empty where there is none."""
    return "".join(each for each in warnings(test) if each.startswith("The link asks for"))


def defaults(test) -> dict[str, list[str]]:
    """What the page shows, as its link would say it."""
    spelled = {}
    for widget in bound(test):
        values = widget.value if isinstance(widget.value, list) else [widget.value]
        words = getattr(widget, "format_func", str)
        spelled[widget.key] = [words(value) for value in values if value is not None]
    return spelled


def takes_any(widget) -> bool:
    """Whether a word that is not among the options is one more."""
    return getattr(widget.proto, "accept_new_options", False)


@pytest.mark.slow  # all pages together
@pytest.mark.parametrize("stem", stems())
def test_whatever_a_link_asks_for_in_vain_is_said(application, stem):
    plain = application(stem, model="bytes", **QUICK.get(stem, {}))
    assert said(plain) == ""
    spelled = {key: value for key, value in defaults(plain).items() if value}
    same = application(stem, **spelled)
    assert problems(same) == [] and said(same) == "", "what is shown is no news"
    for odd in ODD:
        asked = {
            w.key: odd for w in bound(plain, (*CHOSEN, *NUMBERS, "toggle")) if w.key != "model"
        }
        test = application(stem, model="bytes", **asked)
        assert problems(test) == [], (odd, asked)
        shown = {widget.key: widget for widget in bound(test)}
        known = [w.label for key, w in shown.items() if key in asked and not takes_any(w)]
        assert [label for label in known if label not in said(test)] == [], odd
    empty = dict.fromkeys(spelled, "")
    assert problems(application(stem, **empty)) == []


@pytest.mark.parametrize(
    "stem", [stem for stem in stems() if stem not in ("home", "train", "report")]
)
def test_a_model_that_is_not_here_is_named(application, stem):
    test = application(stem, model="nope")
    assert problems(test) == []
    assert "Model nope (shown: stories-demo)" in said(test)


def test_the_line_goes_when_the_reader_has_chosen(application):
    test = application("attention", model="bytes", layer="99", head="abc", seed="inf")
    line = said(test)
    assert "Layer 99 (shown: 0)" in line and "Head abc (shown: 0)" in line
    assert "Seed inf (shown: 0)" in line
    test.selectbox(key="show").set_value("written").run()
    assert "Layer 99" in said(test), "another choice leaves it"
    test.selectbox(key="layer").set_value("1").run()
    assert "Layer" not in said(test) and "Head abc" in said(test)
    test.number_input(key="seed").set_value(3).run()
    assert "Seed" not in said(test) and problems(test) == []


@pytest.mark.parametrize("odd", ["inf", "-inf", "-1" + "0" * 30, "1e30", ""])
def test_a_number_that_is_out_of_range_is_named(application, odd):
    test = application("heads", model="bytes", seed=odd, sequences="8")
    assert problems(test) == [] and f"Seed {odd[:40] or 'nothing'}" in said(test)
    assert test.number_input(key="seed").value == 0


def test_a_link_of_today_or_of_an_earlier_version_is_silent(application):
    test = application("attention", model="bytes", layer="1", look="is looked at by", seed="7")
    assert said(test) == ""
    assert test.selectbox(key="layer").value == "1" and test.number_input(key="seed").value == 7


@pytest.mark.parametrize(
    ("name", "asked", "label"),
    [
        ("stage_number", "99", "Stage 99"),
        ("path", "999999.1", "Branch 999999.1"),
        ("path", "x", "Branch x"),
    ],
)
def test_a_branch_or_stage_that_is_not_there_is_named(application, name, asked, label):
    test = application("prediction", model="bytes", prompt="a garden", **{name: asked})
    assert problems(test) == [] and label in said(test)
    test = application("prediction", model="bytes", prompt="a garden", stage_number="2", path="5.6")
    assert said(test) == ""
