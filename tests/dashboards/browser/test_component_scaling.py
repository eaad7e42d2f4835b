"""Component scaling in a real browser: moved with the arrow keys, reset, and named by hand."""

from tests.dashboards.browsing import outside, settle

LINK = "dials?prompt=It+is+a+sunny+morning.+Anna+is+in+the&dials=head+1.0"


def test_a_dial_is_turned_by_keys_and_reset(page, address):
    page.goto(f"{address}/{LINK}")
    page.get_by_text("No component is scaled").first.wait_for()
    settle(page)
    slider = page.get_by_role("slider").first
    slider.focus()
    slider.press("ArrowLeft")
    page.get_by_text("head 1.0 * 0.97").first.wait_for()
    settle(page)
    assert "turn_head_1_0=" in page.url
    page.get_by_role("button", name="Reset", exact=True).click()
    page.get_by_text("No component is scaled").first.wait_for()
    assert outside(page, address) == []


def test_any_part_can_be_written(page, address):
    page.goto(f"{address}/{LINK}")
    page.get_by_text("No component is scaled").first.wait_for()
    settle(page)
    box = page.get_by_role("combobox", name="Components")
    box.fill("neuron 0.5")
    page.get_by_text("Add: neuron 0.5").click()
    page.get_by_text("neuron 0.5: factor").wait_for()
    page.keyboard.press("Escape")  # an open list hides the rest from those who only hear the page
    settle(page)
    assert page.get_by_role("slider").count() == 2 and outside(page, address) == []
