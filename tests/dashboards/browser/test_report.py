"""Three figures of three views become a report, leave, and come back in another session."""

import pytest

from dashboards.views.attention_heads import attention
from dashboards.views.behavior import surprise
from dashboards.views.lenses import logit_lens
from interp.report import Report
from tests.dashboards.browsing import outside, settle

VIEWS = (surprise.TITLE, logit_lens.TITLE, attention.TITLE)
TITLE, COMMENT = "A <b>bold</b> claim", "What **was** there, and שלום."


def go(page, name: str) -> None:
    page.get_by_test_id("stSidebarNav").get_by_text(name, exact=True).click()
    settle(page)


def typed(page, label: str, place: int, words: str) -> None:
    page.get_by_role("textbox", name=label).nth(place).fill(words)
    page.keyboard.press("Tab")
    settle(page)


def exported(page, name: str, path) -> None:
    with page.expect_download() as download:
        page.get_by_role("button", name=name, exact=True).click()
    download.value.save_as(path)


@pytest.mark.slow
def test_three_figures_are_told_exported_and_opened_again(page, browser, address, tmp_path):
    page.goto(address)
    settle(page)
    for name in VIEWS:
        go(page, name)
        page.get_by_role("button", name="Add to report").first.click()
        page.get_by_role("button", name="In the report").first.wait_for()
    go(page, "Report")
    typed(page, "Title", 1, TITLE)
    typed(page, "Comment", 0, COMMENT)
    typed(page, "Author", 0, "A. Reader")
    page.get_by_role("button", name="Down").first.click()
    settle(page)
    exported(page, "ZIP", tmp_path / "report.zip")
    exported(page, "HTML", tmp_path / "report.html")
    assert outside(page, address) == []

    report = Report.load(tmp_path / "report.zip")
    assert [part.result.provenance.instrument for part in report.parts] == [
        "logit_lens", "surprise", "attention",
    ]  # fmt: skip
    assert (report.parts[1].title, report.parts[1].comment) == (TITLE, COMMENT)
    assert report.html() == (tmp_path / "report.html").read_text(encoding="utf-8")

    page.asked.clear()
    page.goto((tmp_path / "report.html").as_uri())
    page.wait_for_selector("html[data-ready=yes]", state="attached")
    assert page.locator(".plot[data-drawn=yes]").count() == 3
    assert [url for url in page.asked if not url.startswith(("file:", "data:", "blob:"))] == []

    other = browser.new_page()
    other.goto(f"{address}/report")
    other.locator("input[type=file]").set_input_files(tmp_path / "report.zip")
    other.get_by_label("Author").wait_for()
    settle(other)
    assert other.get_by_label("Author").input_value() == "A. Reader"
    assert other.get_by_role("textbox", name="Title").nth(2).input_value() == TITLE
    assert other.get_by_role("textbox", name="Comment").nth(1).input_value() == COMMENT
    assert other.locator(".js-plotly-plot").count() == 3
    other.close()
