"""Folders of models, and the application: in Streamlit's own test runner and in a browser."""

from collections.abc import Callable, Iterator
from functools import cache

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from dashboards import launch
from dashboards.page import measurements
from tests.dashboards import browsing
from tests.dashboards.model_folders import make_model

SECONDS = 300


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that asks for the browser is marked as one."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def model_root(tmp_path_factory):
    """A model of words (of the stories world) and one of bytes."""
    root = tmp_path_factory.mktemp("models")
    make_model(root / "stories-demo")
    make_model(root / "bytes", world=None, seed=1)
    return root


@pytest.fixture(scope="session", autouse=True)
def packages() -> Iterator[None]:
    """Streamlit looks through all installed packages once a process, not once a test."""
    with pytest.MonkeyPatch.context() as patch:
        once = cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", once)
        yield


@pytest.fixture(scope="module", autouse=True)
def fresh_measurements() -> Iterator[None]:
    """What a page opened or measured is kept for the tests of a file, as it is for readers."""
    yield
    measurements.forget()
    st.cache_resource.clear()


@pytest.fixture
def application(monkeypatch, model_root) -> Callable[..., AppTest]:
    """Open a page of the application; query parameters are the keywords."""

    def open_page(stem: str, folder=model_root, **query: str) -> AppTest:
        monkeypatch.setenv(launch.FOLDERS, str(folder))
        test = AppTest.from_file(str(launch.APP), default_timeout=SECONDS)
        for name, value in query.items():
            test.query_params[name] = value
        # `switch_page` knows pages that are files; ours are functions found by file name.
        test._page_hash = calc_hash("" if stem == "home" else stem)
        return test.run()

    return open_page


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if browsing.CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=browsing.CHROMIUM, args=browsing.QUIET)
        yield running
        running.close()


@pytest.fixture
def page(browser):
    """A page that notes what it asks for, and asks nobody else; `asked` holds every address."""
    page_ = browser.new_page(viewport={"width": 1440, "height": 1000})
    page_.set_default_timeout(browsing.PATIENCE)
    page_.asked = []
    page_.on("request", lambda request: page_.asked.append(request.url))
    page_.on("websocket", lambda socket: page_.asked.append(socket.url))
    yield page_
    page_.close()
    assert browsing.outside(page_, f"http://{launch.HOST}:") == []


@pytest.fixture(scope="session")
def address(model_root):
    """A running dashboard on the models of `model_root`; one for all tests of a process."""
    with browsing.serving([model_root]) as running:
        yield running


@pytest.fixture(scope="session")
def shipped_address(tmp_path_factory):
    """A running dashboard on the shipped models; one for all tests of a process.

    What a test trains or imports there goes to a folder of its own.
    """
    with browsing.serving([tmp_path_factory.mktemp("runs"), browsing.SHIPPED]) as running:
        yield running
