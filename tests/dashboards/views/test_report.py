"""The report's page: order, words, what leaves it, and what may come in."""

import io
import zipfile
from functools import cache

import pytest

from dashboards.page import report_draft
from interp.report import Report
from interp.report.parts import FigurePart, TextPart
from tests.report.findings import lens, surprise
from tests.report.test_saved import HOSTILE

KIND = "application/zip"


@cache
def saved() -> bytes:
    report = Report("What <b>I</b> saw", author="A. Reader")
    report.add(lens(), title="First", comment="One.", metric="entropy")
    report.add(surprise(), title="Second")
    return report.add_text("The end.").zip(pictures=False)


@pytest.fixture
def opened(application):
    """The page with a report of two figures and a paragraph."""
    test = application("report")
    test.file_uploader[0].upload("report.zip", saved(), KIND).run()
    assert not test.exception and not test.error
    return test


def kept(test) -> list:
    return test.session_state["report_parts"]


def titles(test) -> list[str]:
    return [part.title for part in kept(test)]


def press(test, what: str, place: int):
    return test.button(key=f"{what}_{kept(test)[place].number}").click().run()


def test_empty_it_says_what_to_do_and_offers_to_go_on(application):
    test = application("report")
    assert not test.exception
    assert any("The report is empty" in each.value for each in test.markdown)
    assert len(test.file_uploader) == 1
    assert "Report (0)" in [each.label for each in test.sidebar.expander]


def test_a_saved_report_is_opened_with_all_its_words(opened):
    assert titles(opened) == ["First", "Second", ""]
    boxes = {box.label: box.value for box in opened.text_input if box.key.startswith("report_")}
    assert boxes == {"Title": "What <b>I</b> saw", "Author": "A. Reader"}
    assert kept(opened)[0].comment == "One." and kept(opened)[0].result == lens()
    assert kept(opened)[0].options == {"metric": "entropy"}
    assert len(opened.get("plotly_chart")) == 2
    assert all(chart.proto.alt for chart in opened.get("plotly_chart"))
    assert "Report (3)" in [each.label for each in opened.sidebar.expander]


def test_figures_are_moved_and_removed(opened):
    press(opened, "down", 0)
    assert titles(opened) == ["Second", "First", ""]
    press(opened, "up", 2)
    assert titles(opened) == ["Second", "", "First"]
    press(opened, "remove", 0)
    assert titles(opened) == ["", "First"] and not opened.exception
    assert opened.button(key=f"up_{kept(opened)[0].number}").disabled
    assert opened.button(key=f"down_{kept(opened)[1].number}").disabled


def test_what_is_typed_is_kept_letter_by_letter_and_is_no_markup(opened):
    numbers = [part.number for part in kept(opened)]
    for words in HOSTILE:
        opened.text_input(key=f"title_{numbers[0]}").set_value(words)
        opened.text_area(key=f"comment_{numbers[0]}").set_value(words)
        opened.text_area(key=f"text_{numbers[2]}").set_value(words).run()
        assert not opened.exception
        first, _, last = kept(opened)
        assert (first.title, first.comment, last.text) == (words, words, words)
        shown = "\n".join(each.value for each in (*opened.caption, *opened.markdown))
        assert "<script" not in shown.replace("\\<", "") and "![](" not in shown
        assert [part.number for part in kept(opened)] == numbers


def test_words_can_be_added_and_stand_in_the_report(opened):
    next(each for each in opened.button if each.label == "Add text").click().run()
    assert isinstance(kept(opened)[-1], TextPart)
    opened.text_area(key=f"text_{kept(opened)[-1].number}").set_value("And more.").run()
    page = Report("x", parts=kept(opened)).html()
    assert "<p>And more.</p>" in page


def test_a_report_that_is_there_is_replaced_only_on_request(opened):
    other = Report("Another").add(surprise(), title="Alone").zip(pictures=False)
    opened.file_uploader[0].upload("other.zip", other, KIND).run()
    assert titles(opened) == ["First", "Second", ""]
    opened.button(key="report_replace").click().run()
    assert titles(opened) == ["Alone"] and not opened.exception


def climbing() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as made:
        made.writestr("../evil", b"evil")
    return target.getvalue()


def no_zip() -> bytes:
    return b"\x80\x04no zip"


def torn() -> bytes:
    return saved()[:5000]


@pytest.mark.parametrize("make", [bytes, no_zip, climbing, torn])
def test_a_hostile_file_is_refused_with_a_sentence(application, make):
    test = application("report")
    test.file_uploader[0].upload("<b>evil</b>.zip", make(), KIND).run()
    assert not test.exception and len(test.error) == 1
    assert "<b>" not in test.error[0].value
    assert kept(test) == []


def test_without_a_chromium_the_page_says_so(application, monkeypatch, tmp_path):
    monkeypatch.setattr("interp.report.chromium.NAMES", ())
    monkeypatch.setattr("interp.report.chromium.PLACES", ())
    monkeypatch.delenv("BROWSER_PATH", raising=False)
    test = application("report")
    test.file_uploader[0].upload("report.zip", saved(), KIND).run()
    assert any("install" in info.value for info in test.info)
    buttons = {each.proto.label: each.proto.disabled for each in test.get("download_button")}
    assert buttons["PDF"] and not buttons["ZIP"] and not buttons["HTML"]


def test_the_same_figure_is_known_again_after_it_was_opened(opened):
    again = FigurePart(result=lens(), title="Other words", options={"metric": "entropy"})
    held = [part for part in kept(opened) if isinstance(part, FigurePart)]
    assert [part.options == again.options and report_draft._same(part, again) for part in held] == [
        True,
        False,
    ]
