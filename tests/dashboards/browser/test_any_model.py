"""A pretrained model is dropped on Home and goes all the way into a report, in a real browser."""

import pytest

from tests.dashboards.browsing import outside, serving, settle
from tests.smollm2 import gguf_file

pytestmark = [pytest.mark.real_model, pytest.mark.slow]
PHONE = {"width": 390, "height": 844}
PATIENCE = 600_000
"""Milliseconds: minutes of a quiet core are many of a busy one."""
NAME = "smollm2"


@pytest.fixture(scope="module")
def own_address(tmp_path_factory):
    """A dashboard on an empty folder, with a cache of its own: the file is converted once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERP_CACHE", str(tmp_path_factory.mktemp("cache")))
        with serving([tmp_path_factory.mktemp("models")]) as running:
            yield running


def main(page):
    """The page's body: the sidebar has links and words of the same names."""
    return page.get_by_test_id("stMain")


def into_report(page) -> None:
    """Add the page's first figure to the report."""
    settle(page)
    main(page).get_by_role("button", name="Add to report").first.click()
    settle(page)
    assert page.get_by_test_id("stException").count() == 0
    assert main(page).get_by_role("button", name="In the report").count() >= 1


def follow(page, name: str) -> None:
    """Follow one of the links that Home suggests, or the navigation where they are gone."""
    settle(page)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=name, exact=True).click()
    main(page).get_by_role("heading", level=1, name=name).wait_for()


def test_a_gguf_file_is_dropped_and_ends_in_a_report(page, own_address):
    page.set_default_timeout(PATIENCE)
    page.goto(own_address)
    page.get_by_text("Add a model").wait_for()
    settle(page)
    page.get_by_role("textbox", name="Name").fill(NAME)
    page.get_by_role("textbox", name="Name").press("Enter")
    settle(page)
    page.locator("input[type=file]").set_input_files(gguf_file())
    main(page).get_by_text(f"{NAME} was added").wait_for()
    settle(page)
    main(page).get_by_role("link", name="Attention", exact=True).first.click()
    main(page).locator(".attention .word").first.wait_for()
    assert NAME in main(page).inner_text()
    into_report(page)
    follow(page, "Logit lens")
    main(page).locator(".grid .cell").first.wait_for()
    into_report(page)
    follow(page, "Steering")
    steered(page)
    into_report(page)
    follow(page, "Report")
    settle(page)
    assert page.get_by_role("textbox", name="Comment").count() == 3
    assert page.get_by_test_id("stException").count() == 0 and outside(page, own_address) == []


def steered(page) -> None:
    """Choose a ready list, and wait for both texts."""
    settle(page)
    page.get_by_role("combobox", name="Concepts").click()
    page.get_by_role("option", name="sentiment: positive").click()
    page.keyboard.press("Escape")
    page.locator("[aria-label^='The steered text']").wait_for()


def test_a_phone_opens_the_same_model_by_a_link(browser, own_address):
    """After the first test, whose model is there."""
    page = browser.new_page(viewport=PHONE)
    page.asked = []
    page.on("request", lambda request: page.asked.append(request.url))
    page.set_default_timeout(PATIENCE)
    for stem, shown in (("attention", ".attention .word"), ("logit_lens", ".grid .cell")):
        page.goto(f"{own_address}/{stem}?model={NAME}&prompt=The+capital+of+France+is")
        page.locator(shown).first.wait_for()
        into_report(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.get_by_test_id("stAlert").filter(has_text="The link asks").count() == 0
    page.goto(f"{own_address}/steering?model={NAME}&concepts=sentiment%3A+positive&length=8")
    page.locator("[aria-label^='The steered text']").wait_for()
    into_report(page)
    assert outside(page, own_address) == []
    page.close()
