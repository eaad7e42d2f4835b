"""A prediction in a real browser: arrow keys step, a click branches, the tree leads back."""

from urllib.parse import quote

import pytest

from tests.dashboards.browsing import HOSTILE, outside, settle

TEXT = "It is a sunny morning. Anna"


@pytest.fixture
def title(page, address):
    """The heading of the card."""
    page.goto(f"{address}/prediction?prompt={quote(TEXT)}")
    found = page.locator(".card .title")
    found.wait_for()
    settle(page)
    return found


def test_arrow_keys_step_and_a_click_on_a_candidate_branches(page, address, title):
    assert "Split the text" in title.inner_text()
    page.keyboard.press("ArrowRight")
    page.locator(".card .strip").wait_for()
    settle(page)
    page.keyboard.press("ArrowLeft")
    page.get_by_text("Split the text into tokens").wait_for()
    settle(page)
    page.get_by_test_id("stButtonGroup").get_by_text("Sample", exact=True).click()
    page.locator(".card .needle").wait_for()
    settle(page)
    page.locator(".card button.candidate:not(.chosen)").nth(1).click()
    page.wait_for_url("**path=*")
    page.locator(".tree .row.here").wait_for()
    settle(page)
    assert page.locator(".tree .row").count() == 2 and "path=" in page.url
    first = page.url
    page.locator(".tree .row").first.click()
    page.wait_for_url(lambda url: "path=" not in url)
    settle(page)
    page.locator(".card button.candidate:not(.chosen)").nth(3).click()
    page.wait_for_url("**path=*")
    settle(page)
    assert page.locator(".tree .row").count() == 3 and page.url != first
    assert outside(page, address) == []


def test_auto_plays_and_stops(page, title):
    page.get_by_text("Auto", exact=True).click()
    page.locator(".card .strip").wait_for()
    page.get_by_text("Block 0: attention").wait_for()
    page.get_by_test_id("stMain").get_by_text("Auto", exact=True).click()
    settle(page)
    before = title.inner_text()
    page.wait_for_timeout(3500)
    assert title.inner_text() == before


def test_tokens_stay_letters_in_cards_and_branches(page, address):
    page.goto(f"{address}/prediction?model=bytes&prompt={quote(HOSTILE)}&path=5.9")
    page.locator(".card .chip").first.wait_for()
    page.locator(".tree .row").first.wait_for()
    assert "<" in "".join(page.locator(".card .word").all_text_contents())
    assert page.locator(".card").locator("img, script, b, a").count() == 0
    assert page.title() != "x" and outside(page, address) == []
