"""Shelves of models, and the application as Streamlit's own test runner runs it."""

from collections.abc import Callable

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from interp.dashboards import launch
from tests.dashboards.shelves import make_model

SECONDS = 300


@pytest.fixture(scope="session")
def shelf(tmp_path_factory):
    """A model of words (of the stories world) and one of bytes."""
    root = tmp_path_factory.mktemp("models")
    make_model(root / "stories-demo")
    make_model(root / "bytes", world=None, seed=1)
    return root


@pytest.fixture
def application(monkeypatch, shelf) -> Callable[..., AppTest]:
    """Open a page of the application; query parameters are the keywords."""

    def open_page(stem: str, folder=shelf, **query: str) -> AppTest:
        monkeypatch.setenv(launch.FOLDERS, str(folder))
        test = AppTest.from_file(str(launch.APP), default_timeout=SECONDS)
        for name, value in query.items():
            test.query_params[name] = value
        # `switch_page` knows pages that are files; ours are functions found by file name.
        test._page_hash = calc_hash("" if stem == "home" else stem)
        return test.run()

    yield open_page
    st.cache_resource.clear()
