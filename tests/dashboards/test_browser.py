"""In a real browser: the server starts, views draw, tokens stay letters, nobody else is asked."""

import shutil
from urllib.parse import quote

import pytest

from interp.dashboards.launch import HOST, free_port, is_up, start

CHROMIUM = shutil.which("chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
PATIENCE = 120_000
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
HOSTILE = "<b>bold</b> ![](http://example.org/x.png) :smile: <script>document.title='x'</script>"


@pytest.fixture(scope="module")
def address(shelf):
    """A running dashboard."""
    port = free_port(8700)
    server = start(port, [shelf])
    try:
        assert is_up(server, port)
        yield f"http://{HOST}:{port}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield running
        running.close()


@pytest.fixture
def page(browser):
    """A page that notes what it asks for; `asked` holds every address."""
    made = browser.new_page(viewport={"width": 1440, "height": 1000})
    made.set_default_timeout(PATIENCE)
    made.asked = []
    made.on("request", lambda request: made.asked.append(request.url))
    made.on("websocket", lambda socket: made.asked.append(socket.url))
    yield made
    made.close()


def outside(page, address: str) -> list[str]:
    """Requests that went anywhere but to the server."""
    own = (address, address.replace("http", "ws"), "data:", "blob:", "about:")
    return [url for url in page.asked if not url.startswith(own)]


def settle(page) -> None:
    """Wait until nothing runs and the page has had time to show it."""
    state = "document.querySelector('.stApp').dataset.testScriptState"
    page.wait_for_function(f"{state} === 'notRunning'")
    page.wait_for_timeout(1000)


def test_home_leads_to_a_figure_and_into_a_report_and_nobody_else_is_asked(page, address):
    page.goto(address)
    page.get_by_text("What to do first").wait_for()
    page.get_by_role("link", name="Watch an answer appear").click()
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert page.url.startswith(f"{address}/logit_lens")
    page.get_by_role("button", name="Add to report").click()
    page.get_by_role("button", name="In the report").wait_for()
    settle(page)
    page.get_by_text("Report (1)").click()
    page.get_by_role("button", name="report.html").hover()
    with page.expect_download(timeout=PATIENCE) as download:
        page.get_by_role("button", name="report.html").click()
    assert "interp.logit_lens(" in download.value.path().read_text()
    assert outside(page, address) == []


def test_hostile_text_is_shown_letter_by_letter(page, address):
    page.goto(f"{address}/logit_lens?model=bytes&prompt={quote(HOSTILE)}")
    page.locator(".js-plotly-plot .xtick text").first.wait_for()
    assert page.title() != "x"
    ticks = "".join(page.locator(".js-plotly-plot .xtick text").all_text_contents())
    assert "<" in ticks and ">" in ticks
    page.goto(f"{address}/logit_lens?model=stories-demo&prompt={quote(HOSTILE)}")
    sentence = page.locator("[data-testid=stAlert]")
    sentence.wait_for()
    assert "'<' at character 0" in sentence.inner_text().replace("\u2060", "")
    assert sentence.locator("img, script, b").count() == 0
    assert outside(page, address) == []
