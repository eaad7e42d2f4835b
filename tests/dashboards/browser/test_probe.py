"""Probing in a real browser: the bar is seen, a story read with arrow keys, a table used."""

import pytest

from tests.dashboards.browsing import outside, settle

pytestmark = pytest.mark.browser
STORY = "probe?part=Along+a+story&state=place"


def at(page) -> int:
    return int(page.get_by_role("slider").first.input_value())


def test_a_decoder_is_trained_with_a_bar_and_a_story_read_with_the_arrows(page, address):
    page.goto(f"{address}/{STORY}")
    page.get_by_role("button", name="Train the decoder").wait_for()
    settle(page)
    page.get_by_role("button", name="Train the decoder").click()
    bar = page.locator("[data-testid=stProgress]")
    bar.wait_for()
    assert bar.inner_text().strip()
    page.get_by_text("Decoded from the activations", exact=True).wait_for()
    settle(page)
    assert bar.count() == 0
    page.get_by_text("Also show tokens where the controls decode").click()
    settle(page)
    begun = at(page)
    slider = page.get_by_role("slider").first
    slider.focus()
    slider.press("ArrowRight")
    settle(page)
    assert at(page) == begun + 1
    token = page.get_by_role("option").nth(begun + 1)
    assert "decoded" in token.get_attribute("aria-label")
    token.focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("option").nth(begun + 2).evaluate("e => e.matches(':focus')")
    assert outside(page, address) == []


def test_a_table_of_ones_own_is_shown_and_used(page, address):
    rows = [f"a garden {'x' * (n % 7)} {'ab'[n % 2]},{'ab'[n % 2]}" for n in range(60)]
    content = "\n".join(["text,label", *rows, "<b>bold</b>,a"]).encode()
    page.goto(f"{address}/probe?model=bytes&table_from=My+own")
    page.locator("input[type=file]").set_input_files(
        {"name": "mine.csv", "mimeType": "text/csv", "buffer": content}
    )
    page.get_by_text("61 rows, 2 labels").wait_for()
    settle(page)
    page.get_by_test_id("stMain").get_by_role("button", name="Train the probe").click()
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert page.locator("[data-testid=stAlert]").count() == 1  # only that there is no world
    assert outside(page, address) == []
