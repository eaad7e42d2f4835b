"""The lens in a real browser: a click and the arrow keys pick cells, a word is followed."""

from urllib.parse import quote

import pytest

from interp.analyses.lenses.logit_lens import logit_lens
from interp.models.io.load import load_model
from tests.dashboards.browsing import HOSTILE, outside, settle

TEXT = "It is a sunny morning. Anna is in the garden."


@pytest.fixture
def cells(page, address):
    """The cells of a text."""
    page.goto(f"{address}/logit_lens?prompt={quote(TEXT)}")
    found = page.locator(".grid .cell")
    found.first.wait_for()
    settle(page)
    return found


@pytest.fixture(scope="module")
def result(model_root):
    """The same, asked for directly."""
    return logit_lens(load_model(str(model_root / "stories-demo")), TEXT, k=10, untrained=False)


def shown(page, title: str) -> list[str]:
    """The candidates, once those of this cell are there."""
    page.locator(".panel:not(.waiting) h3", has_text=title).wait_for()
    return page.locator(".panel td.token").all_text_contents()


def test_a_click_and_the_keys_show_the_candidates_of_that_cell(cells, page, result, address):
    width = len(result.tokens)
    assert cells.count() == 3 * width
    assert shown(page, f"final, position {width - 1}") == list(result.top_tokens[-1][-1])
    cells.nth(width + 4).click()
    assert shown(page, "after layer 0, position 4") == list(result.top_tokens[1][4])
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    assert "embedding, position 5" in page.locator(".words").inner_text()
    page.keyboard.press("Enter")
    assert shown(page, "embedding, position 5") == list(result.top_tokens[0][5])
    assert page.locator(".cell[aria-selected=true]").count() == 1
    settle(page)
    link = page.url
    page.goto(address)
    page.goto(link)
    assert shown(page, "embedding, position 5") == list(result.top_tokens[0][5])
    assert outside(page, address) == []


def test_a_followed_word_is_underlined_where_it_leads(cells, page, result):
    word = result.top_tokens[0][3][0]
    page.get_by_placeholder("one token").fill(word.replace("·", " "))
    page.keyboard.press("Enter")
    page.locator(".cell.leads").first.wait_for()
    leads = [each[0] == word for row in result.top_tokens for each in row]
    assert page.locator(".cell.leads").count() == sum(leads)
    page.get_by_text("The tracked token, layer by layer").wait_for()
    page.locator(".js-plotly-plot .main-svg").first.wait_for()


def test_hostile_tokens_are_letters_and_a_phone_scrolls_only_the_grid(page, address):
    page.set_viewport_size({"width": 390, "height": 900})
    page.goto(f"{address}/logit_lens?model=bytes&prompt={quote(HOSTILE)}")
    page.locator(".grid .column").first.wait_for()
    settle(page)
    told = "".join(page.locator(".grid .column").all_text_contents())
    assert "<" in told and "script" in told and page.title() != "x"
    assert page.locator(".whole script, .whole b, .whole img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    frame = page.locator(".frame")
    assert frame.evaluate("each => each.scrollWidth > each.clientWidth")
    frame.evaluate("each => each.scrollLeft = 300")
    lefts = [page.locator(s).first.bounding_box()["x"] for s in (".grid .name", ".frame")]
    assert abs(lefts[0] - lefts[1]) < 3
    assert outside(page, address) == []
