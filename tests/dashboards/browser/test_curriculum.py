"""Curricula in a real browser: one run alone shows what it learned, and how others are trained."""

from tests.dashboards.browsing import outside, settle


def test_a_run_alone_is_compared_when_asked_and_goes_into_the_report(page, shipped_address):
    page.goto(f"{shipped_address}/curriculum")
    page.get_by_text("interp train --world").first.wait_for()
    settle(page)
    page.get_by_role("button", name="Measure", exact=True).click()
    settle(page)
    page.get_by_test_id("stMain").get_by_role("button", name="Add to report").click()
    page.get_by_text("Report (1)").wait_for()
    settle(page)
    assert page.locator("[data-testid=stException]").count() == 0
    assert outside(page, shipped_address) == []
