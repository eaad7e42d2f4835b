"""Links that version 0.1's pages wrote still open, with every choice that stands in them."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from interp.models.io.load import find_model
from interp.results.registry import FORMER_NAMES
from interp.worlds import load_world
from tests.earlier.calls import HERE

LINKS = json.loads((HERE / "links.json").read_text(encoding="utf-8"))
KINDS = (
    "selectbox", "multiselect", "slider", "select_slider", "number_input", "segmented_control",
    "pills", "text_area", "text_input", "toggle",
)  # fmt: skip
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> str:
    """The shipped model and the runs of that version, as the dashboard is told of them."""
    root = tmp_path_factory.mktemp("earlier")
    shutil.copytree(find_model("stories-demo"), root / "models" / "stories-demo")
    shutil.copytree(HERE / "runs", root / "runs")
    # As a run that was started on the page has it.
    job = {"arguments": [], "wanted": "run", "turn": 1}
    (root / "runs" / "forth-0" / "job.json").write_text(json.dumps(job))
    return os.pathsep.join(str(root / name) for name in ("runs", "models"))


def choices(test: AppTest) -> Iterator[tuple[str, object]]:
    """Key and value of each widget that stands in the link."""
    for kind in KINDS:
        for widget in getattr(test, kind, ()):
            if getattr(widget.proto, "query_param_key", ""):
                yield widget.key, widget.value


def retold(settings: dict) -> dict:
    """With a whole story of today: that version's stories had fewer events, and no floor is known
    of them any more, so that there is no regret to colour by."""
    has_story = settings.get("story", "").endswith(("Nobody knows.", "Proud."))
    return settings | ({"story": load_world("stories").sample(0).text} if has_story else {})


@pytest.mark.parametrize("link", LINKS, ids=lambda link: link["address"][:60])
def test_a_link_opens_with_its_choices(application, folders, link):
    query, widgets = retold(link["query"]), retold(link["widgets"])
    test = application(link["page"], folder=Path(folders), **query)
    assert not test.exception and [error.value for error in test.error] == link["errors"]
    values = dict(choices(test))
    wanted = {key: value for key, value in widgets.items() if key in query}
    assert {key: values.get(key) for key in wanted} == wanted


def test_every_page_that_was_renamed_has_a_link_here():
    renamed = {link["page"] for link in LINKS} & set(FORMER_NAMES)
    assert renamed == {"watch", "step", "scale", "dials"}
