"""The main job at its smallest: everything is there, it says what it did, and it goes on."""

import dataclasses
import re

import pytest

from interp.demo.findings import QUICK, first_telling_question
from interp.demo.job import run_demo
from interp.demo.ledger import Ledger
from interp.models.io.load import load_model
from interp.results.result import load_result
from interp.worlds import load_world

SMALL = dataclasses.replace(QUICK, steps=6, n_documents=60)
RUNS = ("stories-demo", "induction-demo")
SECTIONS = {
    "attention",
    "comprehension",
    "emergence",
    "fidelity",
    "heads",
    "learning_curve",
    "logit_lens",
    "probe",
    "steering",
    "surprise",
}
OF_INDUCTION = {"checkpoint_metrics-induction-demo", "heads-induction-demo"}
STAGES = {f"{stage} {run}" for stage in ("corpus", "training") for run in RUNS} | {"report"}


class Stop:
    """A display that stops the demo at a stage, as Ctrl-C does; it also keeps what was said."""

    def __init__(self, at=None):
        self.at, self.said = at, []

    def say(self, text):
        self.said.append(text)

    def training(self, steps):
        return self

    def busy(self, what):
        if what == self.at:
            raise KeyboardInterrupt
        return self

    def __enter__(self):
        return lambda progress: None

    def __exit__(self, *error):
        return None


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A demo that was stopped before its probe and begun again."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.raises(KeyboardInterrupt):
        run_demo(folder, size=SMALL, display=Stop("probe"))
    before = (folder / "results" / "comprehension" / "result.json").stat().st_mtime_ns
    display = Stop()
    return run_demo(folder, size=SMALL, display=display), before, display.said


@pytest.mark.slow
def test_it_leaves_a_model_results_and_a_report(demo):
    places, _, _ = demo
    results = {path.name: load_result(path) for path in places.results.iterdir()}
    assert set(results) == SECTIONS | OF_INDUCTION
    for run, sections in ((places.run, SECTIONS), (places.induction_run, OF_INDUCTION)):
        model = load_model(run)
        assert model.step == SMALL.steps
        assert {results[name].provenance.model_hash for name in sections} == {model.hash}


@pytest.mark.slow
def test_what_was_done_before_a_stop_is_not_done_again(demo):
    places, before, said = demo
    after = (places.results / "comprehension" / "result.json").stat().st_mtime_ns
    assert after == before
    assert {line.split()[0] for line in said} >= SECTIONS | OF_INDUCTION


@pytest.mark.slow
def test_a_demo_that_is_whole_measures_nothing_again(demo):
    places, _, _ = demo
    before = {path: path.stat().st_mtime_ns for path in places.results.rglob("result.json")}
    assert len(before) == len(SECTIONS | OF_INDUCTION)
    run_demo(places.folder, size=SMALL, display=Stop())
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.slow
def test_every_stage_has_its_time(demo):
    places, _, _ = demo
    assert set(Ledger(places.times).done) == SECTIONS | OF_INDUCTION | STAGES


@pytest.mark.slow
def test_the_report_asks_nothing_of_any_host_and_holds_every_section(demo):
    places, _, _ = demo
    page = places.report.read_text(encoding="utf-8")
    assert re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']https?:", page) == []
    names = {name.removesuffix("-induction-demo") for name in SECTIONS | OF_INDUCTION}
    assert all(f"interp.{name}(" in page for name in names)
    assert len(page) < 3_000_000


def test_the_question_that_is_shown_is_one_its_shortcut_gets_wrong():
    story, question = first_telling_question(load_world("stories"))
    assert question.shortcuts["most_recent"] != question.answer
    assert story.text[question.span[1] :].startswith(question.answer)
