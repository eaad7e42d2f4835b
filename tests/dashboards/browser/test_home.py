"""In a real browser: the first page leads to a figure and into a report; tokens stay letters."""

from urllib.parse import quote

from tests.dashboards.browsing import HOSTILE, PATIENCE, outside, settle


def test_home_leads_to_a_figure_and_into_a_report_and_nobody_else_is_asked(page, address):
    page.goto(address)
    page.get_by_text("What to do first").wait_for()
    page.get_by_role("link", name="Watch an answer appear").click()
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert page.url.startswith(f"{address}/logit_lens")
    page.get_by_role("button", name="Add to report").click()
    page.get_by_role("button", name="In the report").wait_for()
    settle(page)
    page.get_by_text("Report (1)").click()
    page.get_by_role("button", name="report.html").hover()
    with page.expect_download(timeout=PATIENCE) as download:
        page.get_by_role("button", name="report.html").click()
    assert "interp.logit_lens(" in download.value.path().read_text()
    assert outside(page, address) == []


def test_hostile_text_is_shown_letter_by_letter(page, address):
    page.goto(f"{address}/logit_lens?model=bytes&prompt={quote(HOSTILE)}")
    page.locator(".js-plotly-plot .xtick text").first.wait_for()
    assert page.title() != "x"
    ticks = "".join(page.locator(".js-plotly-plot .xtick text").all_text_contents())
    assert "<" in ticks and ">" in ticks
    page.goto(f"{address}/logit_lens?model=stories-demo&prompt={quote(HOSTILE)}")
    sentence = page.locator("[data-testid=stAlert]")
    sentence.wait_for()
    assert "'<' at character 0" in sentence.inner_text().replace("\u2060", "")
    assert sentence.locator("img, script, b").count() == 0
    assert outside(page, address) == []
