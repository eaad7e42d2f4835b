"""How long a reader waits: the first page, other pages, widgets, steering; the server's memory.

Everything is done in a headless Chromium on the shipped model. A wait goes from the last key or
click to the last change of what is seen on the page (not of the tab's title, or of the sign that a
script runs); the steering row ends when both texts are whole, though the page may go on with the
figure below. Medians; run it on quiet cores.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, TimeoutError, sync_playwright

from dashboards.launch import HOST, free_port, is_up
from dashboards.page import navigation

WATCH = Path(__file__).with_name("dashboard_watch.js")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
SHIPPED = Path(__file__).resolve().parents[1] / "trained_models"
PATIENCE = 120_000
LONGEST = 30_000
TEXTS = ("base_text", "steered_text")
SESSION = ("surprise", "logit_lens", "attention", "prediction", "steering")
FIRST_RERUN, LAST_RERUN = 20, 100


def serve(port: int) -> subprocess.Popen:
    """`interp dashboard` on the shipped models."""
    command = [sys.executable, "-m", "interp", "dashboard", str(SHIPPED), "--port", str(port)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def until_up(server: subprocess.Popen, port: int) -> None:
    """Wait for the server; SystemExit when it ended instead."""
    if not is_up(server, port):
        sys.exit(f"The dashboard did not start on port {port}; try `interp dashboard` by hand.")


def fresh(browser: Browser) -> Page:
    """A page that notes when it changes."""
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.set_default_timeout(PATIENCE)
    page.add_init_script(path=str(WATCH))
    return page


def seconds_to_first_page(browser: Browser) -> float:
    """From the command to the table of models, in a server of its own."""
    port = free_port(8900)
    start = time.monotonic()
    server = serve(port)
    page = fresh(browser)
    try:
        until_up(server, port)
        page.goto(f"http://{HOST}:{port}")
        page.locator("[data-testid=stDataFrame]").first.wait_for()
        return time.monotonic() - start
    finally:
        page.close()
        server.terminate()
        server.wait()


def wait_seconds(page: Page, act: Callable[[], Any], *keys: str) -> float | None:
    """From what a reader does until the page is at rest; of parts of it with these keys only."""
    page.evaluate("window.watched.begin()")
    act()
    try:
        page.wait_for_function("window.watched.atRest()", timeout=LONGEST, polling=100)
    except TimeoutError:
        return None
    return page.evaluate("keys => window.watched.seconds(keys)", list(keys))


def open_view(page: Page, stem: str, title: str) -> float | None:
    """Go to a view by its link in the sidebar."""
    links = page.locator("[data-testid=stSidebarNav]")
    link = links.get_by_role("link", name=title, exact=True)
    return wait_seconds(page, link.click)


def widgets(page: Page) -> dict[str, Callable[[], Any]]:
    """What can be changed on any page that has it."""
    main = page.locator("[data-testid=stMain]")
    locators = {
        "seed": page.locator("[data-testid=stSidebar] [data-testid=stNumberInputStepUp]"),
        "example": main.get_by_role("button", name="Another example"),
        "slider": main.get_by_role("slider"),
        "list": main.locator("[data-testid=stSelectbox]").get_by_role("combobox"),
        "choice": main.locator("[kind=segmented_control]"),
    }
    ways = {"slider": ("ArrowLeft",), "list": ("ArrowDown", "ArrowDown", "Enter")}
    present = {name: locator.first for name, locator in locators.items() if locator.count()}
    return {name: partial(_use, locator, ways.get(name, ())) for name, locator in present.items()}


def _use(locator: Locator, keys: Sequence[str]) -> None:
    """Press keys on a widget; click one that takes none."""
    for key in keys:
        locator.press(key)
    if not keys:
        locator.click()


def resident_megabytes(port: int) -> float:
    """Of the process that serves, as Linux counts it."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            words = status.with_name("cmdline").read_bytes().split(b"\0")
            if b"streamlit" in words and str(port).encode() in words:
                lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
                return int(lines["VmRSS"].split()[0]) / 1024
        except (OSError, KeyError):
            continue
    raise RuntimeError("no server was found")


def memory(page: Page, titles: dict[str, str], port: int, reruns: int) -> tuple[float, float]:
    """The server's megabytes after rerun 20 and after the last one."""
    first, done = 0.0, 0
    while done < reruns:
        stem = SESSION[done // 5 % len(SESSION)]
        if done % 5 == 0:
            open_view(page, stem, titles[stem])
        else:
            names = widgets(page)
            wait_seconds(page, names[("seed", "example")[done % 2]])
        done += 1
        if done == min(FIRST_RERUN, reruns // 2):
            first = resident_megabytes(port)
    return first, resident_megabytes(port)


def median(values: list[float | None]) -> str:
    """In seconds; a dash where a page never came to rest."""
    finite = [value for value in values if value is not None]
    return (
        f"{statistics.median(finite):6.2f} s" if len(finite) == len(values) and finite else "   —  "
    )


def waits(page: Page, address: str, titles: dict[str, str], rounds: int) -> None:
    """Print what switching views and changing widgets cost."""
    switches: dict[str, list[float | None]] = {stem: [] for stem in titles}
    changes: dict[tuple[str, str], list[float | None]] = {}
    page.goto(address)
    page.locator("[data-testid=stDataFrame]").first.wait_for()
    for _ in range(rounds + 1):
        for stem, title in titles.items():
            switches[stem].append(open_view(page, stem, title))
    for stem, title in titles.items():
        open_view(page, stem, title)
        for _ in range(rounds):
            for name, act in widgets(page).items():
                changes.setdefault((stem, name), []).append(wait_seconds(page, act))
    print(f"{'view':<16}{'first':>9}{'again':>9}  widgets")
    for stem, times in switches.items():
        waits_by_widget = [f"{n} {median(t).strip()}" for (s, n), t in changes.items() if s == stem]
        print(
            f"{stem:<16}{median(times[:1]):>9}{median(times[1:]):>9}  {', '.join(waits_by_widget)}"
        )


def steering(page: Page, address: str, rounds: int) -> list[float | None]:
    """From a slider to both texts of 60 tokens."""
    page.goto(f"{address}/steering?length=60")
    slider = page.locator("[data-testid=stMain]").get_by_role("slider").first
    slider.wait_for(state="attached")
    wait_seconds(page, lambda: slider.press("ArrowLeft"))
    return [wait_seconds(page, lambda: slider.press("ArrowLeft"), *TEXTS) for _ in range(rounds)]


def main() -> None:
    """Print every number; the rows are the dashboard's promises."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round and few reruns")
    arguments = parser.parse_args()
    rounds, reruns = (1, 30) if arguments.quick else (arguments.rounds, LAST_RERUN)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    titles = {stem: navigation.entry(stem).title for stem in navigation.stems()}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        starts = [seconds_to_first_page(browser) for _ in range(rounds)]
        print(f"{'command to first page':<34}{median(starts)}  (<= 10)")
        port = free_port(8900)
        address, server = f"http://{HOST}:{port}", serve(port)
        try:
            until_up(server, port)
            page = fresh(browser)
            table = median(steering(page, address, rounds))
            print(f"{'steering slider to both texts':<34}{table}  (<= 2)")
            waits(page, address, titles, rounds)
            first, last = memory(page, titles, port, reruns)
            print(
                f"server memory {first:.0f} MB -> {last:.0f} MB: {last / first - 1:+.1%} (<= 5 %)"
            )
        finally:
            server.terminate()
            server.wait()
            browser.close()


if __name__ == "__main__":
    main()
