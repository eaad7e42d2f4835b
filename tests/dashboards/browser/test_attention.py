"""Attention in a real browser: hover tints, a click locks, keys move, tokens stay letters."""

import re
from html import unescape
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.dashboards.browsing import HOSTILE, outside, settle

TEXT = "It is a sunny morning. Anna is in the garden."


@pytest.fixture
def words(page, address):
    """The words of a text, in head 1.1."""
    page.goto(f"{address}/attention?prompt={quote(TEXT)}&layer=1&head=1")
    elements = page.locator(".attention .word")
    elements.first.wait_for()
    settle(page)
    return elements


def depths(words) -> list[float]:
    """How deeply each word is tinted, in percent."""
    script = "all => all.map(word => parseFloat(word.style.getPropertyValue('--depth')))"
    return words.evaluate_all(script)


def test_pointing_at_a_word_tints_what_it_looks_at_and_nothing_later(words, page):
    assert not any(depths(words))
    words.nth(5).hover()
    tinted = depths(words)
    assert all(tinted[:6]) and not any(tinted[6:])
    assert sum((depth / 100) ** 2 for depth in tinted) == pytest.approx(1, abs=0.02)
    title, table = page.locator(".attention h4"), page.locator(".attention table tr")
    assert "attends to" in title.inner_text() and table.count() == 5
    page.mouse.move(2, 2)
    assert not any(depths(words))


def test_a_click_locks_a_word_and_the_address_and_another_reader_have_it(words, page, address):
    words.nth(4).click()
    page.wait_for_url("**word=4*")
    page.mouse.move(2, 2)
    settle(page)
    locked = depths(words)
    assert any(locked) and words.nth(4).get_attribute("aria-pressed") == "true"
    page.locator(".attention .cell").nth(1).click()
    page.wait_for_url(lambda url: "layer=1" not in url)
    page.reload()
    page.locator(".attention .word[aria-pressed=true]").wait_for()
    assert words.nth(4).get_attribute("aria-pressed") == "true"
    assert page.locator(".cell[aria-pressed=true]").get_attribute("aria-label")[:8] == "Head 0.1"
    assert outside(page, address) == []


def test_it_can_be_read_with_the_keyboard_alone(words, page):
    page.get_by_role("main").get_by_role("combobox").last.focus()
    for _ in range(5):
        page.keyboard.press("Tab")
        if focused(page).startswith("word"):
            break
    assert focused(page).startswith("word")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert any(depths(words))
    page.keyboard.press("Enter")
    page.wait_for_url("**word=2*")
    settle(page)
    assert focused(page).startswith("word")
    label = words.nth(2).get_attribute("aria-label")
    assert "3 of" in label and "attends to" in label
    assert label in page.locator(".attention [aria-live]").inner_text()
    for _ in range(4):  # past the headings of the grid: all, layer 0, layer 1
        page.keyboard.press("Tab")
    assert focused(page).startswith("cell")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(lambda url: "head=1" not in url)
    page.keyboard.press("ArrowUp")
    page.wait_for_url(lambda url: "layer=1" not in url)
    words.nth(2).focus()
    page.keyboard.press("Escape")
    page.wait_for_url(lambda url: "word=" not in url)
    assert page.locator(".word[aria-pressed=true]").count() == 0


def focused(page) -> str:
    """The class of what has the focus, also within a component."""
    return page.evaluate(
        "() => { let at = document.activeElement;"
        " while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;"
        " return at?.className ?? '' }"
    )


def test_the_other_direction_and_a_finger_s_tap(words, page, address):
    page.get_by_text("is attended to by").click()
    settle(page)
    words.nth(3).hover()
    tinted = depths(words)
    assert not any(tinted[:3]) and all(tinted[3:])
    hand = page.context.browser.new_page(has_touch=True, viewport={"width": 390, "height": 900})
    hand.goto(page.url)
    hand.locator(".attention .word").nth(6).tap(timeout=120_000)
    hand.locator(".attention tr").first.wait_for()
    assert hand.evaluate("document.documentElement.scrollWidth") <= 390
    hand.close()


def test_the_picture_that_is_downloaded_is_the_one_that_is_seen(words, page):
    words.nth(4).click()
    page.wait_for_url("**word=4*")
    page.mouse.move(2, 2)
    settle(page)
    seen = [depth / 100 for depth in depths(words)]
    page.get_by_role("button", name="Download").first.click()
    with page.expect_download() as download:
        page.get_by_role("button", name="SVG:").click()
    svg = Path(download.value.path()).read_text()
    boxes = re.findall(r'd="M[^"]*Z" style="[^"]*?fill: rgb\((\d+), \d+, (\d+)\)[^"]*"', svg)
    blue = [int(red) for red, blue in boxes if int(red) < int(blue)]
    assert blue == pytest.approx([255 * (1 - depth) for depth in seen if depth > 0], abs=6)
    assert ("213", "0") in boxes  # the line below the locked token
    assert all(f">{word.strip()}<" in unescape(svg) for word in words.all_inner_texts())
    assert len(re.findall("<image", svg)) >= page.locator(".attention canvas").count()


def test_hostile_tokens_are_letters(page, address):
    page.goto(f"{address}/attention?model=bytes&prompt={quote(HOSTILE)}")
    words = page.locator(".attention .word")
    words.first.wait_for()
    told = "".join(words.all_inner_texts())
    assert "<b>" in told and "<script>" in told
    assert page.locator(".attention script, .attention b, .attention img").count() == 0
    words.nth(3).hover()
    assert page.title() != "x"
    assert outside(page, address) == []
