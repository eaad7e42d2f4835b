"""Surprise in a real browser: a text that is text, whose tokens tell their numbers."""

from urllib.parse import quote

from interp.analyses.behavior.surprise import surprise
from interp.models.io.load import load_model
from interp.worlds import load_world
from tests.dashboards.browsing import HOSTILE, outside, settle


def test_pointer_and_keys_tell_a_token_s_numbers(page, address, model_root):
    world = load_world("stories")
    text = world.sample(0, split="held_out").text
    page.goto(f"{address}/surprise")
    tokens = page.locator(".text .token")
    tokens.first.wait_for()
    settle(page)
    assert "".join(tokens.all_text_contents()) == text
    model = load_model(str(model_root / "stories-demo"))
    own = surprise(model, text, world=world, untrained=False)
    tokens.nth(4).hover()
    tip = page.locator(".tip")
    assert f"{own.loss_nats[4]:.3f} nats" in tip.inner_text() and own.tokens[4] in tip.inner_text()
    assert (
        f"1. {own.top_tokens[4][0]}" in tip.inner_text()
        and f"floor\t{own.floor_nats[4]:.3f}" in tip.inner_text()
    )
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
