"""The scale of a model in a real browser: what it read, and the way to a sweep."""

from tests.dashboards.browsing import outside, settle


def test_a_model_stands_among_others_and_a_sweep_is_asked_for(page, shipped_address):
    page.goto(f"{shipped_address}/scaling_law")
    page.get_by_text("A person reads this corpus").first.wait_for()
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    settle(page)
    page.get_by_test_id("stMain").get_by_text("Scaling law", exact=True).click()
    page.get_by_text("interp sweep").first.wait_for()
    settle(page)
    assert page.locator("[data-testid=stException]").count() == 0
    assert outside(page, shipped_address) == []
