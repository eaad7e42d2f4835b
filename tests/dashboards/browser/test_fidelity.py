"""The world model in a real browser: an edit is measured, a story edited, and the link holds it."""

import pytest

from tests.dashboards.browsing import outside, settle

pytestmark = pytest.mark.browser
EDIT = "fidelity?part=Edit+the+map&edit_story=1&new_place=park&model=stories-demo"


def test_a_story_is_edited_and_its_link_shows_the_same_story(page, shipped_address):
    page.goto(f"{shipped_address}/{EDIT}")
    page.get_by_role("button", name="Measure the edit").wait_for()
    settle(page)
    page.get_by_role("button", name="Measure the edit").click()
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    settle(page)
    assert page.get_by_text("Continuation with the edit: Park.").count() == 1
    assert "new_place=park" in page.url and "edit_story=1" in page.url
    page.get_by_role("button", name="Add to report").first.click()
    page.get_by_role("button", name="In the report").first.wait_for()
    page.set_viewport_size({"width": 390, "height": 900})
    settle(page)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390, "nothing is wider than a phone"
    assert outside(page, shipped_address) == []
