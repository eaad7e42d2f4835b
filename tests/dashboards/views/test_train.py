"""The training page without a process: prices, refusals, and runs as their files tell of them."""

import json
import os

import pytest

from dashboards.training.curve_card import NAMES, SOON
from dashboards.training.form import duration
from dashboards.training.log import TrainingLog
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.io.checkpoint import save_weights, write_settings
from interp.training.jobs import jobs
from interp.training.jobs.processes import birth
from tests.dashboards.model_folders import SIZES, words

HOSTILE = "<script>alert(1)</script> <b>b</b> :smile: ![](http://example.org/x.png)\n\n# \u202eאב"
LOSSES = [4.0, 3.0, 2.5, 2.25]


def write_run(folder, *, alive=False, wanted="pause", losses=LOSSES, text=HOSTILE):
    """A run of four updates, with everything that a trainer leaves behind."""
    folder.mkdir(parents=True)
    process = {"pid": os.getpid(), "birth": birth(os.getpid()) if alive else None, "turn": 1}
    files = {
        "job.json": {"arguments": ["--world=stories"], "wanted": wanted, "turn": 1},
        "process.json": process,
        "run.json": {"recipe": {"steps": 8, "batch_size": 2, "context": 5, "muon_lr": 0.5}},
        "baselines.json": {"unigram_nats_per_token": 3.5, "uniform_nats_per_token": 4.5},
    }
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value))
    records = [
        {"kind": "train", "step": n, "loss_nats_per_token": loss, "grad_norm": 0.1 * n,
         "learning_rate_scale": 0.5}
        for n, loss in enumerate(losses, start=1)
    ]  # fmt: skip
    records += [
        {"kind": "eval", "step": 4, "loss_nats_per_token": 2.5, "floor_nats_per_token": 1.5,
         "regret_nats_per_token": 1.0},
        {"kind": "speed", "step": 4, "seconds": 8.0, "tokens_per_second": 10},
    ]  # fmt: skip
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, records)))
    sample = {"kind": "sample", "step": 4, "seed": 0, "text": text}
    (folder / "samples.jsonl").write_text(json.dumps(sample) + "\n")
    return folder


def keep_weights(folder, step):
    """A checkpoint of the run that can be opened."""
    cfg = GPTConfig(d_vocab=words("stories").d_vocab, **SIZES)
    write_settings(cfg, words("stories"), folder)
    return save_weights(folder, step, dict(GPT(cfg).named_parameters()))


def values(elements):
    return [element.value for element in elements]


def told(test):
    """What is written on the page, without the marks that keep Markdown from reading it."""
    return "\n".join(values(test.markdown)).replace("\\", "")


def metrics(test):
    return {metric.label: metric.value for metric in test.metric}


@pytest.fixture
def train(application, tmp_path):
    """Open the page on an own folder of runs."""
    return lambda **query: application("train", folder=tmp_path, **query)


def test_the_price_is_told_and_follows_the_sliders(train):
    test = train()
    assert not test.exception and metrics(test)["Parameters"] == "400,416"
    test.select_slider(key="width_demo_stories").set_value(192).run()
    assert not test.exception
    assert int(metrics(test)["Parameters"].replace(",", "")) > 1_000_000
    assert test.select_slider(key="heads_demo_stories_192").value == 4


def test_every_world_and_shape_has_a_price(train):
    test = train()
    for world in ("stories", "rrxor"):
        test.selectbox(key="world").set_value(world)
        for preset in ("demo", "qwen3-tiny", "attn-only-2l", "gpt2-small"):
            test.selectbox(key="preset").set_value(preset).run()
            assert not test.exception and not test.error, (world, preset)
            assert {"Parameters", "Memory (estimate)", "Time (estimate)"} <= set(metrics(test))
            offered = [toggle.label for toggle in test.toggle]
            assert ("Curriculum" in offered) == (world == "stories")


def test_a_name_that_cannot_be_is_a_sentence_and_nothing_is_made(train, tmp_path):
    test = train()
    for name in ("", "../up", "a/b", "<b>", ".x", "-rf"):
        test.text_input(key="run_name").set_value(name)
        test.button(key="start").click().run()
        assert not test.exception and "name needs" in test.error[0].value.replace("\\", "")
        assert "<b" not in test.error[0].value.replace("\\<", "")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_there_is_not_started_again(train, tmp_path):
    write_run(tmp_path / "mine")
    test = train()
    test.text_input(key="run_name").set_value("mine").run()
    test.button(key="start").click().run()
    assert not test.exception and "is there already and paused" in test.error[0].value
    assert jobs.read_job(tmp_path / "mine").turn == 1


def test_own_text_must_be_given_and_be_there(train, tmp_path):
    test = train(text_from="my own text")
    for path, why in (("", "got neither"), (str(tmp_path / "none"), "does not exist")):
        test.text_input(key="own_path").set_value(path).run()
        test.button(key="start").click().run()
        assert not test.exception and why in test.error[0].value.replace("\\", "")
    assert list(tmp_path.iterdir()) == []


def test_a_paused_run_shows_its_curves_and_its_text_letter_by_letter(train, tmp_path):
    write_run(tmp_path / "mine")
    test = train(run="mine")
    assert not test.exception and not test.error
    assert metrics(test)["Regret"] == "1.000" and "Time left" not in metrics(test)
    loss, rate, *_ = (json.loads(e.proto.spec) for e in test.get("plotly_chart"))
    levels = [note["text"] for note in loss["layout"]["annotations"]]
    assert sorted(levels) == ["floor", "uniform", "unigram"]
    assert loss["data"][0]["name"] == "training" and rate["data"][0]["y"]
    assert any("alert(1)" in text for text in values(test.text))
    marked = "\n".join([*values(test.markdown), *values(test.caption)])
    assert "<script" not in marked and "![](" not in marked
    assert not test.button(key="resume_run").disabled and test.button(key="pause_run").disabled
    assert "interp train --world=stories --out" in "".join(values(test.code))


def test_a_run_at_work_tells_how_long_it_will_last(train, tmp_path):
    write_run(tmp_path / "mine", alive=True, wanted="run")
    test = train()
    assert not test.exception and metrics(test)["Time left"] == "4 s"
    assert test.button(key="resume_run").disabled and not test.button(key="pause_run").disabled


def test_a_run_that_was_killed_says_so_and_can_be_resumed(train, tmp_path):
    write_run(tmp_path / "mine", wanted="run")
    test = train(log_steps="true")
    assert not test.exception and "Resume it" in test.error[0].value
    assert not test.button(key="resume_run").disabled


def test_a_run_that_diverged_is_drawn_as_far_as_it_got(train, tmp_path):
    write_run(tmp_path / "mine", losses=[4.0, None, 2.0, None])
    test = train(run="mine")
    assert not test.exception and len(test.get("plotly_chart")) == 4


def test_before_the_first_checkpoint_it_says_when_the_curves_can_be_taken_home(train, tmp_path):
    write_run(tmp_path / "mine", alive=True, wanted="run")
    test = train()
    assert not test.exception and SOON in values(test.caption)
    assert not any(button.label == "Add to report" for button in test.button)


def test_from_the_first_checkpoint_on_each_curve_can_be_taken_home(train, tmp_path):
    keep_weights(write_run(tmp_path / "mine"), 4)
    test = train(run="mine")
    assert not test.exception and not test.error and SOON not in values(test.caption)
    assert "Held-out loss 2.500 nats/token at step 4 (floor 1.500, regret 1.000" in told(test)
    for view in NAMES:
        test.segmented_control(key="curve").set_value(view).run()
        test.button(key=f"add_curve_{view}").click().run()
        assert not test.exception and test.button(key=f"add_curve_{view}").disabled
    parts = test.session_state["report_parts"]
    assert [part.options["view"] for part in parts] == list(NAMES)
    assert parts[0].result.training_loss.tolist() == LOSSES
    test.toggle(key=f"table_curve_{view}").set_value(True)
    test.toggle(key=f"code_curve_{view}").set_value(True).run()
    assert "interp.learning_curve(" in "".join(values(test.code))
    assert list(test.dataframe[0].value["training_loss_nats_per_token"]) == LOSSES


def test_the_row_follows_the_newest_checkpoint_and_the_axis(train, tmp_path):
    run = write_run(tmp_path / "mine")
    keep_weights(run, 2)
    test = train(run="mine", log_steps="true")
    assert "Training loss 3.000 nats/token at step 2" in told(test)
    keep_weights(run, 4)
    test.run()
    assert "Held-out loss 2.500 nats/token at step 4" in told(test)
    test.button(key="add_curve_loss").click().run()
    assert test.session_state["report_parts"][0].options == {"view": "loss", "log_x": True}


def test_a_checkpoint_that_cannot_be_opened_is_a_sentence_below_the_curves(train, tmp_path):
    place = keep_weights(write_run(tmp_path / "mine"), 4)
    (place / "model.safetensors").write_bytes(b"no")
    test = train(run="mine")
    assert not test.exception and len(test.get("plotly_chart")) == 4
    (error,) = test.error
    assert "SHA" in error.value or "safetensors" in error.value


def test_a_log_is_what_was_written(tmp_path):
    log = TrainingLog.read(write_run(tmp_path / "run"))
    assert (log.step, log.steps, log.seconds_left) == (4, 8, 4.0)
    curves = log.curves
    assert curves.levels == {"uniform": 4.5, "unigram": 3.5, "floor": 1.5}
    assert curves.updates.tolist() == [1, 2, 3, 4] and curves.training_loss.tolist() == LOSSES
    empty = TrainingLog.read(tmp_path)
    assert (empty.step, empty.seconds_left, empty.curves.levels) == (0, None, {})


def test_seconds_are_told_as_people_tell_them():
    assert [duration(seconds) for seconds in (0, 99, 100, 6000)] == [
        "0 s",
        "99 s",
        "2 min",
        "1.7 h",
    ]
