"""What stands below a figure is true: its Python gives the same numbers, the report has it."""

import contextlib
import io

import pytest
import torch

from dashboards.page import result_card
from interp.report import Report
from interp.report.parts import FigurePart
from tests.toy import make_toy


def run(code: str) -> dict:
    """The names that the snippet of a page leaves behind, and what it printed."""
    names, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, names)
    return names | {"printed": printed.getvalue()}


def test_the_python_of_a_figure_gives_its_numbers(application):
    test = application("logit_lens", follow=" garden")
    assert not test.exception and not test.error
    test.toggle(key="code_logit_lens").set_value(True).run()
    again = run(test.code[-1].value)["result"]
    test.button(key="add_logit_lens").click().run()
    (part,) = test.session_state["report_parts"]
    assert torch.equal(again.kl_nats, part.result.kl_nats)
    assert torch.equal(again.log_probs, part.result.log_probs)


def test_the_python_of_a_steered_text_writes_both_texts(application):
    test = application("steering", length="6")
    test.toggle(key="code_continuation").set_value(True).run()
    code = next(code.value for code in test.code if "interp.continuation" in code.value)
    again = run(code)["result"]
    test.button(key="add_continuation").click().run()
    (part,) = test.session_state["report_parts"]
    assert (again.base_tokens, again.steered_tokens) == (
        part.result.base_tokens,
        part.result.steered_tokens,
    )


def test_the_python_of_a_generation_writes_its_text(application):
    test = application("prediction", mode="Whole text", length="6", temperature="0.5")
    test.toggle(key="code_text").set_value(True).run()
    code = next(code.value for code in test.code if "load_model" in code.value)
    assert test.text[0].value.endswith(run(code)["printed"].rstrip("\n"))


def test_the_table_holds_the_numbers_of_the_figure(application):
    test = application("attention")
    test.toggle(key="table_attention").set_value(True).run()
    frame = test.dataframe[0].value
    one = frame[(frame.layer == 0) & (frame["head"] == 0)]
    whole = one.groupby("query").attention.sum()
    assert whole.iloc[:-1].tolist() == pytest.approx([1.0] * (len(whole) - 1), abs=1e-5)


def test_figures_gather_in_the_report_under_their_titles(application):
    test = application("surprise")
    test.button(key="add_surprise").click().run()
    assert test.button(key="add_surprise").disabled
    (part,) = test.session_state["report_parts"]
    again = FigurePart(result=part.result, title="<i>again</i>")
    page = Report("What <b>I</b> saw", parts=[part, again]).html()
    assert "interp.surprise(" in page and "<b>I</b>" not in page and "<i>again" not in page
    assert "1\\. " in "\n".join(each.value for each in test.sidebar.caption)
    assert not test.exception


def test_a_figure_is_drawn_once_for_the_same_options_and_anew_for_others():
    result = make_toy()
    first = result_card._figure(result, {"title": "one"})
    assert result_card._figure(result, {"title": "one"}) is first and first[0] is result
    assert result_card._figure(result, {"title": "two"})[1].layout.title.text == "two"
    other = result_card._figure(make_toy(score=result.score + 1), {"title": "one"})
    assert other is not first and other[1].to_json() != first[1].to_json()
