"""One gradient step in a real browser: pressed, undone, and the same again from its link."""

from tests.dashboards.browsing import outside, settle

LESSON = "lesson=It+is+a+sunny+morning.+Anna+is+in+the&right=+garden"


def finding(page) -> str:
    return page.locator("strong", has_text="garden").first.inner_text()


def test_steps_are_taken_undone_and_linked(page, address):
    page.goto(f"{address}/gradient_step?{LESSON}")
    page.get_by_text("Nothing has moved yet").wait_for()
    settle(page)
    page.get_by_role("button", name="Step", exact=True).click()
    page.get_by_text("1 SGD step of").first.wait_for()
    settle(page)
    page.get_by_role("button", name="× 10").click()
    page.get_by_text("11 SGD steps of").first.wait_for()
    settle(page)
    assert "taken=11" in page.url
    told = finding(page)
    page.goto(page.url)
    page.get_by_text("11 SGD steps of").first.wait_for()
    settle(page)
    assert finding(page) == told
    page.get_by_role("button", name="Undo all").click()
    page.get_by_text("Nothing has moved yet").wait_for()
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert outside(page, address) == []
