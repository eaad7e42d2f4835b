"""In a real browser: no request leaves the file, and every figure is drawn."""

import shutil

import pytest
import torch

from interp.report import Report
from tests.toy import make_toy

CHROMIUM = shutil.which("chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield running
        running.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    made = Report("What is seen", author="A. Reader")
    made.add_text("Two figures with <script>alert(1)</script> in their tokens.")
    made.add(make_toy(), title="First")
    made.add(make_toy(score=torch.full((3, 4), torch.nan)), title="Second, of nothing")
    return made.save(tmp_path_factory.mktemp("report") / "report.html")


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_figures_are_drawn_and_nothing_is_asked_of_anyone(browser, report, width, scheme):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    asked, trouble = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.goto(report.as_uri())
    page.wait_for_selector("html[data-ready=yes]", timeout=60_000, state="attached")
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert asked.count(report.as_uri()) == 1 and trouble == []
    assert page.locator(".plot[data-drawn=yes] .main-svg").count() >= 2
    assert page.locator(".failed").count() == 0
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(overflow) == 0
    ticks = page.locator("#figure-1 .xtick text").all_text_contents()
    assert "</script>" in [tick.strip() for tick in ticks]
    offers = page.locator("#figure-1 .modebar-btn").evaluate_all(
        "all => all.map(a => a.dataset.title)"
    )
    assert "Download plot" in offers and not [o for o in offers if "Share" in o or "loud" in o]
    page.close()


def test_the_code_is_copied(browser, report):
    page = browser.new_page()
    page.goto(report.as_uri())
    page.locator("summary", has_text="Python").first.click()
    page.locator(".copy").first.click()
    page.wait_for_function("document.querySelector('.copy').textContent === 'Copied'")
    page.close()


def test_without_scripts_the_words_and_numbers_are_there(browser, report):
    page = browser.new_page(java_script_enabled=False)
    page.goto(report.as_uri())
    assert "switched off" in page.locator("noscript").inner_text()
    assert page.locator("td").count() > 40
    page.close()
