"""The slider's data, and the two pages over training, on a run of two minutes ago: five steps."""

import json
from base64 import b64decode
from dataclasses import replace

import numpy as np
import pytest
import torch

from dashboards.components.timeline import MOST_CURVES, timeline_data
from dashboards.views.learning.checkpoint_metrics import rise
from interp.analyses.learning.checkpoint_metrics import checkpoint_metrics
from interp.analyses.learning.checkpoint_viewer import checkpoint_viewer
from interp.analyses.learning.learning_curve import learning_curve
from interp.models.gpt import GPT
from interp.models.io.checkpoint import save_weights
from interp.models.io.load import load_model
from interp.training.data.sources import write_text_corpus
from tests.analyses.tiny_growing import STEPS, growing_model
from tests.analyses.tiny_world import TinyWorld
from tests.dashboards.model_folders import letters, make_model

WORLD = TinyWorld()


def add_history(folder, steps=(0, 1, 4, 16, 64)):
    """Checkpoints of random weights below a model's folder."""
    model = load_model(folder)
    for step in steps:
        weights = dict(GPT(model.cfg, model.tokenizer, seed=step).state_dict())
        save_weights(folder, step, weights)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder of two runs with five checkpoints each."""
    root = tmp_path_factory.mktemp("runs")
    for seed in range(2):
        add_history(make_model(root / f"run-{seed}", seed=seed))
    return root


def test_the_browser_gets_the_numbers_of_the_results():
    viewer = checkpoint_viewer(growing_model(), "Anna sits in the attic.", WORLD, n_tokens=2)
    curves = checkpoint_metrics(growing_model(), WORLD, measures=["rank", "distance"])
    data = timeline_data(viewer, curves, curves.curves)
    assert len(data["curves"]) == MOST_CURVES and data["steps"] == list(STEPS)
    shape = (len(STEPS), len(viewer.words), 2)
    points = np.frombuffer(b64decode(data["points"]), "<i2").reshape(shape) / 32_767
    scaled = viewer.points / viewer.points.abs().max()
    assert np.abs(points - scaled.numpy()).max() < 1e-4
    pattern = np.frombuffer(b64decode(data["pattern"]), "u1").reshape(viewer.pattern.shape) / 255
    assert np.abs(pattern - viewer.pattern.numpy()).max() <= 0.5 / 255 + 1e-6
    best = np.frombuffer(b64decode(data["best"]), "<u2").reshape(viewer.chances.shape)
    assert data["names"][best[-1, -1, -1]] == viewer.guesses[-1][-1][-1]
    assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_fifty_checkpoints_of_a_long_prompt_are_a_small_message():
    viewer = checkpoint_viewer(
        growing_model(), " ".join(["Anna sits in the attic."] * 4), WORLD, n_tokens=2
    )
    curves = checkpoint_metrics(growing_model(), WORLD, measures=["distance"])
    size = len(json.dumps(timeline_data(viewer, curves, curves.curves)))
    assert size / len(STEPS) * 50 < 500_000


def test_the_page_shows_curves_and_the_slider(application, runs):
    test = application("checkpoint_metrics", folder=runs, model="run-0")
    assert [e.message for e in test.exception] == [] and not test.error
    assert len(test.get("plotly_chart")) == 1  # the curves; the slider draws the rest
    assert {"Prompt"} <= {box.label for box in test.main.text_input}
    test.multiselect(key="measures").set_value(["distance"]).run()
    assert [e.message for e in test.exception] == []
    test.multiselect(key="measures").set_value([]).run()
    assert any("Choose one or more metrics" in each.value for each in test.caption)


@pytest.mark.parametrize("text", ["<b>bold</b> ![](http://example.org/x.png)", "a garden " * 400])
def test_a_prompt_that_cannot_be_read_is_answered_with_a_sentence(application, runs, text):
    test = application("checkpoint_metrics", folder=runs, model="run-0", start=text)
    assert [e.message for e in test.exception] == []
    assert len(test.error) == 1


@pytest.mark.slow
def test_a_changed_prompt_waits_for_its_button_and_an_unreadable_one_is_refused_at_once(
    application, runs
):
    def buttons() -> list[str]:
        return [button.key for button in test.button if button.key == "rerun_watch"]

    test = application("checkpoint_metrics", folder=runs, model="run-0")
    first = test.text_input(key="start").value
    test.text_input(key="start").set_value("It is a sunny morning.").run()
    assert buttons() and not test.error and "prompt" in words(test)
    test.text_input(key="start").set_value("<b>").run()
    assert len(test.error) == 1 and not test.exception
    test.text_input(key="start").set_value(first).run()
    assert not buttons() and not test.error
    test.text_input(key="start").set_value("It is a sunny morning.").run()
    test.button(key="rerun_watch").click().run()
    assert not buttons() and not test.error and not test.exception


def test_a_world_whose_words_begin_with_a_space_opens_on_its_own_prompt(application, tmp_path):
    add_history(make_model(tmp_path / "home-run", world="homes"), steps=(0, 4))
    test = application("checkpoint_metrics", folder=tmp_path, model="home-run")
    assert not test.error and not test.exception
    assert test.text_input(key="start").value.startswith(" ")


def words(test) -> str:
    return " ".join(each.value for each in test.caption)


def test_a_model_without_checkpoints_says_what_is_needed(application):
    for stem in ("checkpoint_metrics", "emergence"):
        test = application(stem, model="bytes")
        assert any("checkpoint" in each.value for each in test.info)


@pytest.mark.slow
def test_what_appeared_when_is_measured_only_when_asked_for(application, runs):
    test = application("emergence", folder=runs, model="run-0")
    assert not test.get("plotly_chart")
    test.multiselect(key="runs").set_value(["run-1"]).run()
    test.button(key="measure_emergence").click().run()
    assert [e.message for e in test.exception] == [] and not test.error
    assert len(test.get("plotly_chart")) == 1
    finding = " ".join(each.value for each in test.markdown).replace("\\", "")
    assert "n = 2 runs" in finding


def test_points_are_kept_in_range():
    viewer = checkpoint_viewer(growing_model(), "Anna sits", WORLD, n_tokens=1, steps=STEPS[:2])
    curves = checkpoint_metrics(growing_model(), measures=["distance"], steps=STEPS[:2])
    data = timeline_data(viewer, curves, ())
    assert data["curves"] == [] and torch.isfinite(viewer.points).all()


def test_a_run_on_other_text_has_the_loss_that_it_wrote_down(application, tmp_path):
    add_history(make_model(tmp_path / "own", world=None))
    test = application("checkpoint_metrics", folder=tmp_path, model="own", step="64")
    assert [e.message for e in test.exception] == [] and not test.error
    (loss,) = (spec for spec in map(figure, test.get("plotly_chart")) if "held-out" in traces(spec))
    assert loss["layout"]["yaxis"]["title"]["text"] == "loss (nats/token)"
    assert any("Held\\-out loss" in each.value for each in test.markdown)


def test_a_run_on_own_text_is_measured_on_what_it_was_never_trained_on(application, tmp_path):
    folder = add_history(make_model(tmp_path / "own", world=None))
    (tmp_path / "mine.txt").write_text("Once upon a time there was a small garden. " * 200)
    corpus = write_text_corpus(tmp_path / "mine.txt", folder / "corpus", tokenizer=letters())
    record = json.loads((folder / "run.json").read_text())
    record["corpus"] = {"hash": corpus.hash, "source": dict(corpus.source)}
    (folder / "run.json").write_text(json.dumps(record))
    test = application("checkpoint_metrics", folder=tmp_path, model="own", step="64")
    assert [e.message for e in test.exception] == [] and not test.error
    box = test.multiselect(key="measures")
    assert box.value[:2] == ["loss_per_byte", "known_words"] and "accuracy" not in box.options
    units = [figure(element)["layout"] for element in test.get("plotly_chart")]
    assert "nats/byte" in json.dumps(units) and "share of words" in json.dumps(units)


def figure(element) -> dict:
    return json.loads(element.proto.spec)


def traces(spec: dict) -> list[str]:
    return [trace.get("name") or "" for trace in spec["data"]]


def test_a_loss_that_rises_is_explained_by_the_stages_and_only_by_them():
    whole = learning_curve(load_model("stories-demo"))
    assert rise(whole) == "", "whole stories are in every stage, so the loss falls"
    losses = whole.held_out_loss.clone()
    losses[3:9] += 6.0
    shipped = replace(whole, held_out_loss=losses)
    sentence = rise(shipped)
    top = int(shipped.held_out_loss.argmax())
    step = int(shipped.evaluations[top])
    assert f"{float(shipped.held_out_loss[top]):.2f} nats/token at step {step:,}" in sentence
    assert shipped.stage_at(step) in sentence and f"{shipped.stage_starts[-1]:,}" in sentence
    assert rise(replace(shipped, stages=(), stage_starts=())) == ""
    falling = shipped.held_out_loss.sort(descending=True).values
    assert rise(replace(shipped, held_out_loss=falling)) == ""


def test_the_stages_are_shaded_one_by_one():
    shipped = learning_curve(load_model("stories-demo"))
    shapes = shipped.figure(log_x=True).layout.shapes
    shaded = [(each.x0, each.x1) for each in shapes if each.type == "rect" and each.visible]
    starts = shipped.stage_starts
    ends = [*starts[1:], int(shipped.evaluations[-1])]
    assert shaded == [(starts[n], ends[n]) for n in range(1, len(starts), 2)]
