"""The page of scale: words a minute, published models, and a sweep's law or how to get one."""

import json

import pytest

from tests.analyses.learning.test_scaling_law import write_run
from tests.dashboards.browsing import SHIPPED


@pytest.fixture(scope="module")
def folder_with_a_sweep(tmp_path_factory):
    """The shipped model, and a sweep of nine runs on a law."""
    root = tmp_path_factory.mktemp("runs")
    (root / "stories-demo").symlink_to(SHIPPED / "stories-demo")
    sweep = root / "small <b>sweep"
    sweep.mkdir()
    (sweep / "sweep.json").write_text("{}")
    for size in (4, 8, 16):
        for steps in (10, 30, 90):
            loss = 0.55 + 3 * size**-0.8 + 2 * steps**-0.6
            write_run(sweep / f"{size}-{steps}", steps=steps, d_model=size, loss=loss)
    return root


LAW = "Scaling law"


def words(test) -> str:
    return "\n".join(caption.value for caption in test.caption)


def figure(test) -> dict:
    (element,) = test.get("plotly_chart")
    return json.loads(element.proto.spec)


def test_the_speed_of_reading_is_the_reader_s_own(application, folder_with_a_sweep):
    test = application("scaling_law", folder=folder_with_a_sweep, model="stories-demo")
    assert not test.exception and not test.error
    assert "238 words a minute" in words(test)
    names = [trace["name"] for trace in figure(test)["data"] if "name" in trace]
    assert names[-2:] == ["published", "this model"]
    test.number_input(key="words_per_minute").set_value(476).run()
    assert not test.exception and "476 words a minute" in words(test)


def test_a_sweep_s_law_is_drawn_beside_the_exact_floor(application, folder_with_a_sweep):
    test = application(
        "scaling_law", folder=folder_with_a_sweep, model="stories-demo", scale_view=LAW
    )
    assert not test.exception and not test.error
    names = [trace.get("name") for trace in figure(test)["data"]]
    assert "exact floor" in names and sum(name is not None for name in names) >= 7
    assert "Law of 9 runs" in words(test)
    test.selectbox(key="sweep").set_value("none").run()
    assert "interp sweep --world stories" in [code.value for code in test.code]


def test_a_model_without_a_record_is_a_sentence(application):
    test = application("scaling_law", model="bytes")
    assert not test.exception
    assert "on record for runs only" in test.error[0].value


def test_a_damaged_sweep_is_a_sentence(application, tmp_path):
    (tmp_path / "stories-demo").symlink_to(SHIPPED / "stories-demo")
    run = write_run(tmp_path / "torn" / "4-10")
    (tmp_path / "torn" / "sweep.json").write_text("{}")
    (run / "run.json").write_text("[<b>")
    test = application("scaling_law", folder=tmp_path, model="stories-demo")
    assert not test.exception and not test.error
    test = application("scaling_law", folder=tmp_path, model="stories-demo", scale_view=LAW)
    assert not test.exception and "must be JSON" in test.error[0].value
