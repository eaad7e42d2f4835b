"""Surprise in a real browser: a text that is text, whose tokens tell their numbers."""

from urllib.parse import quote

from interp.analyses.surprise import surprise
from interp.models.load import load_model
from tests.dashboards.browsing import HOSTILE, outside, settle

TEXT = "It is a sunny morning. Anna is in the garden."


def test_pointer_and_keys_tell_a_token_s_numbers(page, address, shelf):
    page.goto(f"{address}/surprise?story={quote(TEXT)}")
    tokens = page.locator(".text .token")
    tokens.first.wait_for()
    settle(page)
    assert "".join(tokens.all_text_contents()) == TEXT
    own = surprise(load_model(str(shelf / "stories-demo")), TEXT, untrained=False)
    tokens.nth(4).hover()
    tip = page.locator(".tip")
    assert f"{own.loss_nats[4]:.3f} nats" in tip.inner_text() and "·morning" in tip.inner_text()
    assert f"1. {own.top_tokens[4][0]}" in tip.inner_text() and "floor" in tip.inner_text()
    tokens.nth(4).click()
    page.keyboard.press("ArrowRight")
    assert f"{own.loss_nats[5]:.3f} nats" in tip.inner_text()
    page.keyboard.press("Escape")
    assert tip.is_hidden()
    assert outside(page, address) == []


def test_hostile_tokens_are_letters(page, address):
    page.goto(f"{address}/surprise?model=bytes&story={quote(HOSTILE)}")
    tokens = page.locator(".text .token")
    tokens.first.wait_for()
    settle(page)
    assert "".join(tokens.all_text_contents()).endswith(HOSTILE)
    assert page.locator(".whole script, .whole b, .whole img").count() == 0
    assert page.title() != "x"
    assert outside(page, address) == []
