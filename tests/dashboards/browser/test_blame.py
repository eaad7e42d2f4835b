"""Blame in a real browser: three subjects, a link for each, and no request outside."""

from tests.dashboards.browsing import outside, settle


def test_from_a_mistake_to_the_loss_and_back_by_link(page, shipped_address):
    page.goto(f"{shipped_address}/blame?model=stories-demo")
    page.locator(".js-plotly-plot").first.wait_for()
    settle(page)
    assert "Blame: the right answer" in page.inner_text("body")
    page.get_by_role("radio", name="Path from initialization").click()
    settle(page)
    assert "measure=Path" in page.url
    page.get_by_test_id("stMain").get_by_role("radio", name="The loss").click()
    page.get_by_text("Allocation: from step 0 to 16").first.wait_for()
    settle(page)
    link = page.url
    page.goto(link)
    page.get_by_text("Allocation: from step 0 to 16").first.wait_for()
    assert outside(page, shipped_address) == []
