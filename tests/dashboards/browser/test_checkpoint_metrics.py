"""The slider over training in a real browser: keys, play, and no word to the server meanwhile."""

from tests.dashboards.browsing import outside, settle

SLIDER = "input[type=range][aria-label^='Training step']"
FRAMES = (
    "Number([...document.querySelectorAll('*')].map((e) => (e.shadowRoot ?? e)"
    ".querySelector?.('[data-frames]')).find(Boolean).dataset.frames)"
)


def test_the_slider_moves_every_panel_in_the_browser(page, shipped_address):
    page.goto(f"{shipped_address}/checkpoint_metrics?model=stories-demo")
    slider = page.locator(SLIDER)
    slider.wait_for()
    settle(page)
    written, words = page.locator(".written"), page.locator("svg.words g").first
    last, place = written.inner_text(), words.get_attribute("transform")
    sent = []
    page.on("websocket", lambda socket: sent.append(socket.url))
    slider.focus()
    slider.press("Home")
    assert page.locator("output.step").inner_text() == "step 0"
    assert written.inner_text() != last and words.get_attribute("transform") != place
    slider.press("ArrowRight")
    assert page.locator("output.step").inner_text() == "step 16"
    assert slider.get_attribute("aria-valuetext") == "step 16"
    before = page.evaluate(FRAMES)
    page.get_by_role("button", name="Play").click()
    page.wait_for_function(f"{FRAMES} > {before} + 10")
    page.get_by_role("button", name="Pause").click()
    slider.press("End")
    assert written.inner_text() == last
    assert sent == [] and outside(page, shipped_address) == []
