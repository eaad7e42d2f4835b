"""Takes the pictures of docs/dashboard.md: every view, wide and narrow, light and dark.

A small model is trained first, so that the page of training has something to show (two minutes).
Needs Chromium and Playwright: `python examples/dashboard_pictures.py [FOLDER [WORD ...]]`; with
words, only the pictures whose names begin or end with one (`report`, `narrow-dark`).
"""

import io
import shutil
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from dashboards.launch import HOST, free_port, is_up, start
from dashboards.page import navigation
from interp.training.jobs import jobs
from interp.training.recipe.choices import TrainingPlan

ROOT = Path(__file__).resolve().parents[1]
GOAL = ROOT / "docs" / "pictures" / "dashboard"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
WIDTHS = {"wide": (1440, 1000), "narrow": (390, 844)}
COLOURS = 128
LONGEST = 2200
"""Pixels: below them a picture is cut, so that a page fits a page."""
SMALL = TrainingPlan(world="stories", documents=400, layers=2, steps=400, batch_size=16)
PRESSED = {
    "comprehension": "Ask",
    "curriculum": "Measure",
    "fidelity": "Probe every checkpoint",
    "probe": "Train the probe",
}
GENERIC = ("head_ablation",)
"""Of the pages that are made from a signature, those that are pictured when none is named."""
ADDED = ("logit_lens", "surprise")
"""Views whose figures are put into the report before it is pictured."""


def main() -> None:
    """Take every picture; those that are there already are replaced."""
    goal = Path(sys.argv[1]) if len(sys.argv) > 1 else GOAL
    goal.mkdir(parents=True, exist_ok=True)
    port = free_port(8950)
    with TemporaryDirectory() as runs:
        train(Path(runs))
        server = start(port, [Path(runs), ROOT / "trained_models"])
        try:
            assert is_up(server, port)
            take_everything(f"http://{HOST}:{port}", goal)
        finally:
            server.terminate()
            server.wait()
    print(f"{sum(path.stat().st_size for path in goal.glob('*.png')) / 1e6:.1f} MB in {goal}")


def train(runs: Path) -> None:
    """A small model, as somebody trains one on the page."""
    job = jobs.start(runs, "small-stories", SMALL.arguments())
    while (job := jobs.read_job(job.folder)).state in jobs.ACTIVE:
        time.sleep(1)
    if job.state != "finished":
        sys.exit(f"The run for the pictures has {job.state}: {job.last_words}")


def take_everything(address: str, goal: Path) -> None:
    """Every size and light."""
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        for size in WIDTHS:
            for light in ("light", "dark"):
                stems = wanted(f"{size}-{light}", sys.argv[2:])
                take_all(browser, address, goal, size, light, stems)


def wanted(kind: str, words: list[str]) -> list[str]:
    """The views that are pictured at a size and in a light."""
    stems = navigation.stems()
    if words and kind not in words:
        return [stem for stem in stems if stem in words]
    return [stem for stem in stems if not is_generic(stem) or stem in GENERIC]


def is_generic(stem: str) -> bool:
    """Whether the page is made from an instrument's signature."""
    return navigation.entry(stem).group == navigation.MORE


def take_all(
    browser: Browser, address: str, goal: Path, size: str, light: str, stems: list[str]
) -> None:
    """These views at one size and in one light."""
    width, height = WIDTHS[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=light, reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(300_000)
    for stem in stems:
        if stem == "report":
            page.set_viewport_size(dict(zip(("width", "height"), WIDTHS["wide"], strict=True)))
            fill_report(page, address)
            page.set_viewport_size({"width": width, "height": height})
        else:
            page.goto(f"{address}/{'' if stem == navigation.FIRST else stem}")
        settle(page)
        if button := PRESSED.get(stem, "Run" if is_generic(stem) else ""):
            page.get_by_role("button", name=button, exact=True).first.click()
            page.get_by_role("button", name="Add to report").first.wait_for()
            settle(page)
        small(take(page, width, height), goal / f"{stem}-{size}-{light}.png")
        print(f"{stem}-{size}-{light}.png")
    context.close()


def fill_report(page: Page, address: str) -> None:
    """Add figures, and go to the report in the same session."""
    page.goto(f"{address}/{ADDED[0]}")
    settle(page)
    for stem in (*ADDED[1:], "report"):
        page.get_by_role("button", name="Add to report").first.click()
        settle(page)
        follow(page, navigation.entry(stem).title)


def follow(page: Page, title: str) -> None:
    """Press a link of the navigation."""
    page.locator("[data-testid=stSidebarNav]").get_by_role("link", name=title, exact=True).click()
    settle(page)


def settle(page: Page) -> None:
    """Wait until nothing runs, and the page has had time to draw."""
    page.wait_for_function(
        "document.querySelector('.stApp')?.dataset.testScriptState === 'notRunning'"
    )
    page.wait_for_timeout(3000)


def take(page: Page, width: int, height: int) -> bytes:
    """The page in its whole height, as long as that is not too much."""
    inner = "document.querySelector('[data-testid=stMain]').scrollHeight"
    tall = max(height, min(LONGEST, page.evaluate(inner)))
    page.set_viewport_size({"width": width, "height": tall})
    page.wait_for_timeout(1000)
    picture = page.screenshot()
    page.set_viewport_size({"width": width, "height": height})
    return picture


def small(picture: bytes, path: Path) -> None:
    """Write it with few colours, chosen so that none is far from its own: scales stay true."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE).save(path, optimize=True)


if __name__ == "__main__":
    main()
