"""Every view, driven in a real browser on the shipped model, asks nobody but its own server.

The fixture `page` holds every test to that; here are the views that have no file of their own.
"""

from pathlib import Path

import pytest

from dashboards.page.navigation import stems
from tests.dashboards.browsing import outside, settle

PRESSED = {"comprehension": "Ask"}


ELSEWHERE = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}


@pytest.mark.parametrize("stem", [stem for stem in stems() if stem not in ELSEWHERE])
def test_a_view_asks_nobody_else(page, shipped_address, stem):
    page.goto(f"{shipped_address}/{stem}")
    page.get_by_role("heading", level=1).first.wait_for()
    settle(page)
    assert page.locator("[data-testid=stException]").count() == 0
    if stem in PRESSED:
        page.get_by_role("button", name=PRESSED[stem], exact=True).click()
        settle(page)
    touch(page)
    assert page.locator("[data-testid=stException]").count() == 0
    assert any("/_stcore/stream" in url for url in page.asked)
    assert outside(page, shipped_address) == []


def touch(page) -> None:
    """Change what is at hand: the table of a figure, the first slider of the page, the link.

    The table comes first: a slider can take a figure away that must be asked for again.
    """
    table = page.get_by_text("Table", exact=True).first
    if table.count():
        table.click()
        settle(page)
    slider = page.locator("[data-testid=stMain]").get_by_role("slider").first
    if slider.count():
        slider.press("ArrowLeft")
        settle(page)
    page.get_by_role("button", name="Copy link").click()
    settle(page)
