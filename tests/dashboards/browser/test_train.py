"""Training in a real browser: to the end, past a closed tab, past a killed server."""

import os
import re
import signal
import subprocess
import sys
import time
from urllib.parse import quote

import pytest

from dashboards.launch import HOST, is_up, start
from interp.runs.metrics import read_metrics
from interp.training.jobs import jobs
from tests.dashboards.browsing import PATIENCE, own_port, settle

LONG = 1_000_000
QUICK = "?world=rrxor&preset=attn-only-1l"


class House:
    """A dashboard on a folder of runs; it can be killed and started again."""

    def __init__(self, folder):
        self.folder, self.port = folder, own_port()
        self.address = f"http://{HOST}:{self.port}"
        self.open()

    def open(self):
        self.server = start(self.port, [self.folder])
        assert is_up(self.server, self.port)

    def kill(self):
        self.server.kill()
        self.server.wait()

    def job(self, name):
        return jobs.read_job(self.folder / name)

    def step(self, name):
        records = read_metrics(self.folder / name / "metrics.jsonl", "train")
        return records[-1]["step"] if records else 0

    def wait(self, holds):
        until = time.monotonic() + PATIENCE / 1000
        while not holds():
            assert time.monotonic() < until
            time.sleep(0.1)


@pytest.fixture
def house(tmp_path):
    """A server of its own, and nobody at work when the test ends."""
    made = House(tmp_path)
    yield made
    made.kill()
    for job in jobs.at_work(tmp_path):
        os.killpg(jobs.read_pid(job), signal.SIGKILL)


def ask_for(page, house, name, steps, query=QUICK):
    """Fill the form and start."""
    page.goto(f"{house.address}/train{query}")
    page.get_by_text("Model and recipe").click()
    page.get_by_label("Run name").fill(name)
    page.get_by_label("Steps", exact=True).fill(str(steps))
    page.get_by_label("Steps", exact=True).press("Enter")
    thumb = page.get_by_role("slider", name="Documents per level")
    thumb.focus()
    thumb.press("Home")
    settle(page)
    page.get_by_role("button", name="Start", exact=True).click()


def shown_step(page):
    label = page.get_by_text(re.compile(r"step [\d,]+ of")).first
    label.wait_for()
    return int(re.search(r"step ([\d,]+) of", label.inner_text())[1].replace(",", ""))


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def state(page, text):
    page.locator(".stMarkdownBadge", has_text=text).wait_for()


def test_a_tiny_model_is_trained_to_the_end_reported_and_opened(page, house, tmp_path):
    ask_for(page, house, "tiny", 60)
    state(page, "finished")
    assert shown_step(page) == 60 and house.job("tiny").state == "finished"
    page.get_by_text(
        re.compile(r"Held-out loss [\d.]+ nats/token \([\d.]+ per byte\) at step 60")
    ).first.wait_for()
    page.get_by_text("Generated text").wait_for()
    settle(page)  # While the page is drawn anew, what stood there before still stands beside it.
    its_code_repeats_its_table(page, tmp_path)
    page.get_by_text("Gradient norm", exact=True).click()
    settle(page)
    press(page, "Add to report")
    page.get_by_role("button", name="In the report", exact=True).wait_for()
    page.get_by_test_id("stSidebarNav").get_by_text("Report", exact=True).click()
    page.get_by_role("textbox", name="Title").nth(1).wait_for()
    titles = [box.input_value() for box in page.get_by_role("textbox", name="Title").all()]
    assert "Training of tiny: gradient norm" in titles
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    ask_for(page, house, "tiny", 60)
    page.get_by_text("'tiny' is there already and finished").wait_for()
    assert "world=rrxor" in page.url
    settle(page)  # The links of a finished run come last, and the sidebar has links of such names.
    page.get_by_test_id("stMain").get_by_role("link", name="Attention", exact=True).click()
    page.wait_for_url(re.compile("/attention"))  # The only model of the shelf is not in the link.
    page.get_by_text("step 60").first.wait_for()


def its_code_repeats_its_table(page, folder):
    """What *Copy as Python* shows gives the table of *Download*, to the byte."""
    page.get_by_text("Copy as Python", exact=True).click()
    shown = page.get_by_test_id("stCode").filter(has_text="interp.learning_curve(").locator("code")
    shown.wait_for()
    page.get_by_role("button", name="Download", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV: the table").click()
    download.value.save_as(folder / "shown.csv")
    page.keyboard.press("Escape")
    again = f"result.frame().to_csv({str(folder / 'again.csv')!r}, index=False)"
    code = f"{shown.inner_text()}\n{again}"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder)
    table = (folder / "shown.csv").read_text()
    assert table == (folder / "again.csv").read_text() and len(table.splitlines()) == 62


def test_a_run_outlives_its_tab_and_its_server_and_is_paused_and_resumed(page, browser, house):
    tab = browser.new_page()
    tab.set_default_timeout(PATIENCE)
    ask_for(tab, house, "lasting", LONG)
    seen = shown_step(tab)
    tab.close()
    house.wait(lambda: house.step("lasting") > seen)
    page.goto(f"{house.address}/train?run={quote('lasting')}")
    state(page, "running")
    now = shown_step(page)
    assert now > seen
    page.get_by_text(re.compile(rf"step (?!{now:,} )[\d,]+ of")).first.wait_for()
    house.kill()
    before = house.step("lasting")
    house.wait(lambda: house.step("lasting") > before >= now)
    house.open()
    page.goto(f"{house.address}/train")
    state(page, "running")
    press(page, "Pause")
    state(page, "paused")
    paused = house.step("lasting")
    assert shown_step(page) == paused
    assert (house.folder / "lasting" / "states" / f"step-{paused:06d}").is_dir()
    press(page, "Resume")
    state(page, "running")
    house.wait(lambda: house.step("lasting") > paused)
    press(page, "Stop")
    state(page, "stopped")
    assert house.job("lasting").state == "stopped"
