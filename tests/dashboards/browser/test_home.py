"""In a real browser: home leads to a figure and into a report, takes models, and copies links."""

import io
import shutil
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.dashboards.browsing import HOSTILE, PATIENCE, outside, serving, settle
from tests.dashboards.model_folders import make_model


def test_home_leads_to_a_figure_and_into_a_report_and_nobody_else_is_asked(page, address):
    page.goto(address)
    page.get_by_text("What to do first").wait_for()
    settle(page)
    page.get_by_test_id("stMain").get_by_role("link", name="Logit lens").click()
    page.wait_for_url(f"{address}/logit_lens*")
    settle(page)
    page.get_by_role("button", name="Add to report").first.click()
    page.get_by_role("button", name="In the report").first.wait_for()
    settle(page)
    page.get_by_text("Report (1)").click()
    page.get_by_role("button", name="report.html").hover()
    with page.expect_download(timeout=PATIENCE) as download:
        page.get_by_role("button", name="report.html").click()
    assert "interp.logit_lens(" in download.value.path().read_text()
    assert outside(page, address) == []


def test_hostile_text_is_shown_letter_by_letter(page, address):
    page.goto(f"{address}/logit_lens?model=stories-demo&prompt={quote(HOSTILE)}")
    sentence = page.locator("[data-testid=stAlert]")
    sentence.wait_for()
    assert "'<' at character 0" in sentence.inner_text().replace("\u2060", "")
    assert sentence.locator("img, script, b").count() == 0
    assert page.title() != "x"
    assert outside(page, address) == []


def test_a_link_that_is_copied_opens_what_was_seen(page, address):
    from playwright.sync_api import expect

    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{address}/logit_lens?model=bytes&prompt={quote('a <b> c')}")
    settle(page)
    page.get_by_role("spinbutton", name="Seed").fill("7")
    page.get_by_role("spinbutton", name="Seed").press("Enter")
    settle(page)
    page.get_by_role("button", name="Copy link").click()
    page.get_by_text("Copied.").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    assert "model=bytes" in link and "seed=7" in link
    page.goto("about:blank")
    page.goto(link)
    expect(page.get_by_role("textbox", name="Text")).to_have_value("a <b> c", timeout=PATIENCE)
    expect(page.get_by_role("spinbutton", name="Seed")).to_have_value("7", timeout=PATIENCE)


@pytest.fixture(scope="module")
def own_root(tmp_path_factory):
    """A folder of models that a test may add to."""
    folder = tmp_path_factory.mktemp("own")
    make_model(folder / "bytes", world=None)
    return folder


@pytest.fixture(scope="module")
def own_address(own_root):
    """A dashboard on it."""
    with serving([own_root]) as running:
        yield running


def test_a_zip_becomes_a_model_and_a_hostile_one_a_sentence(page, own_address, own_root, tmp_path):
    good = shutil.make_archive(str(tmp_path / "newcomer"), "zip", own_root, "bytes")
    page.goto(own_address)
    page.get_by_text("Add a model").wait_for()
    settle(page)
    drop(page, "evil.zip", climbing())
    page.get_by_text("must stay inside").wait_for()
    settle(page)
    assert {path.name for path in own_root.iterdir()} == {"bytes"}
    page.reload()
    settle(page)
    drop(page, "newcomer.zip", Path(good).read_bytes())
    page.get_by_text("newcomer was added").wait_for()
    settle(page)
    assert {path.name for path in own_root.iterdir()} == {"bytes", "newcomer"}
    page.goto(f"{own_address}/logit_lens?model=newcomer&prompt=a")
    page.get_by_text("newcomer · ").wait_for()
    assert outside(page, own_address) == []


def drop(page, name: str, data: bytes) -> None:
    """Drop a file on the page's box for models, which takes it at once."""
    file = {"name": name, "mimeType": "application/zip", "buffer": data}
    page.locator("input[type=file]").set_input_files(file)


def climbing() -> bytes:
    """A zip that would write outside its folder."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as parcel:
        parcel.writestr("../config.json", "{}")
    return made.getvalue()
