"""Runs in the background: they outlive whoever asked, and end as if nobody had disturbed them."""

import json
import math
import os
import shutil
import signal
import time
from typing import get_args

import pytest

from interp.core.errors import ConfigError, TrainingError
from interp.core.files import read_object
from interp.runs.metrics import read_metrics
from interp.training.jobs import jobs
from interp.training.jobs.processes import birth

PATIENCE_SECONDS = 400
ARGUMENTS = [
    "--world=rrxor", "--documents=50", "--steps=400", "--batch-size=4", "--context=16",
    "--device=cpu", "--threads=1", "--set=model.n_layers=1", "--set=model.d_model=16",
    "--set=model.n_heads=2", "--set=model.dropout=0.1", "--set=eval_tokens=64",
]  # fmt: skip


@pytest.fixture
def runs(tmp_path):
    """A folder of runs; what still works there at the end is ended."""
    folder = tmp_path / "runs"
    yield folder
    for job in jobs.jobs_in(folder):
        if job.state == "queued":
            jobs.stop(job)
    for job in jobs.at_work(folder):
        os.kill(jobs.read_pid(job), signal.SIGKILL)


def wait_for(awaited, *states):
    """The job when it is in one of the states."""
    until = time.monotonic() + PATIENCE_SECONDS
    while (job := jobs.read_job(awaited.folder)).state not in states:
        assert time.monotonic() < until, f"{job.name} is {job.state}: {job.last_words}"
        time.sleep(0.02)
    return job


def wait_for_a_step_after(job, step):
    """The newest step on record, when it is a later one; the run must be at work."""
    until = time.monotonic() + PATIENCE_SECONDS
    while (now := newest_step(job)) <= step:
        assert jobs.read_job(job.folder).state in jobs.ACTIVE and time.monotonic() < until
        time.sleep(0.01)
    return now


def newest_step(job):
    return max((r["step"] for r in read_metrics(job.folder / "metrics.jsonl")), default=0)


def outcome(job):
    """The weights' hash and every loss."""
    records = read_metrics(job.folder / "metrics.jsonl")
    return read_object(job.folder / "run.json")["model_hash"], [
        record for record in records if record["kind"] != "speed"
    ]


@pytest.mark.slow
def test_a_run_that_was_paused_and_killed_ends_as_one_that_was_left_alone(runs):
    whole = jobs.start(runs, "whole", ARGUMENTS)
    job = jobs.start(runs, "disturbed", ARGUMENTS)
    assert wait_for(job, "running", "queued").state == "queued"
    wait_for(whole, "finished")
    paused_after = wait_for_a_step_after(job, 0)
    assert jobs.pause(job).wanted == "pause"
    job = wait_for(job, "paused")
    assert newest_step(job) >= paused_after
    assert (job.folder / "states" / f"step-{newest_step(job):06d}").is_dir()
    killed_after = wait_for_a_step_after(jobs.resume(job), newest_step(job))
    os.kill(jobs.read_pid(job), signal.SIGKILL)
    job = wait_for(job, "interrupted")
    assert killed_after < 400
    job = wait_for(jobs.resume(job), "finished")
    assert outcome(job) == outcome(whole)
    samples = read_metrics(job.folder / "samples.jsonl")
    assert [sample["step"] for sample in samples[:1] + samples[-1:]] == [0, 400]
    assert samples[-1]["text"] == read_metrics(whole.folder / "samples.jsonl")[-1]["text"]
    assert (job.folder / "baselines.json").exists()


@pytest.mark.slow
def test_the_queue_goes_on_when_its_worker_was_killed(runs):
    first = jobs.start(runs, "first", [*ARGUMENTS, "--steps=100000"])
    second = jobs.start(runs, "second", [*ARGUMENTS, "--steps=2"])
    third = jobs.start(runs, "third", ARGUMENTS)
    wait_for(first, "running")
    os.kill(read_object(runs / ".worker.json")["pid"], signal.SIGKILL)
    with pytest.raises(ConfigError, match="'first' is there already and running"):
        jobs.start(runs, "first", ARGUMENTS)
    with pytest.raises(TrainingError, match="first is running"):
        jobs.resume(first)
    assert jobs.pause(third).state == "paused"
    wait_for_a_step_after(first, 0)
    jobs.wake(runs)
    assert [job.state for job in (first, second)] == ["running", "queued"]
    assert jobs.stop(first).state in ("stopping", "stopped")
    wait_for(first, "stopped")
    wait_for(second, "finished")
    with pytest.raises(TrainingError, match="second is finished"):
        jobs.resume(second)
    assert jobs.read_job(third.folder).state == "paused"
    assert jobs.stop(third).state == "stopped"


@pytest.mark.slow
def test_a_run_that_cannot_be_says_why_and_the_next_one_is_done(runs):
    broken = jobs.start(runs, "broken", [*ARGUMENTS, "--set=muon_rl=1"])
    text = "Anna went to the garden. " * 400
    own = jobs.start(
        runs,
        "own",
        [*ARGUMENTS[2:], "--tokenizer=characters", "--steps=1"],
        texts={"../tales.txt": text.encode()},
    )
    assert "muon_lr" in wait_for(broken, "failed").last_words
    wait_for(own, "finished")
    assert (own.folder / "text" / "tales.txt").read_text() == text


def folder_of(runs, **process):
    folder = runs / "run"
    folder.mkdir(parents=True)
    record = {"arguments": [], "wanted": "run", "turn": 5}
    (folder / "job.json").write_text(json.dumps(record))
    (folder / "process.json").write_text(json.dumps(process))
    return jobs.read_job(folder)


def test_a_process_that_only_has_the_same_number_is_another(tmp_path):
    job = folder_of(tmp_path, pid=os.getpid(), birth="another boot 1", turn=5)
    assert job.state == "interrupted"


def test_a_living_process_is_at_work(tmp_path):
    job = folder_of(tmp_path, pid=os.getpid(), birth=birth(os.getpid()), turn=5)
    assert job.state == "running" and jobs.at_work(tmp_path) == [job]


@pytest.mark.parametrize(
    ("exit_code", "state"),
    [(None, "interrupted"), (-9, "interrupted"), (143, "paused"), (130, "paused"), (2, "failed")],
)
def test_how_it_ended(tmp_path, exit_code, state):
    job = folder_of(tmp_path, pid=2**22 + 1, birth=None, turn=5, exit=exit_code)
    assert job.state == state


def test_a_run_that_ends_just_as_it_is_asked_to_leave_is_no_error(tmp_path, monkeypatch):
    job = folder_of(tmp_path, pid=os.getpid(), birth=birth(os.getpid()), turn=5, exit=None)

    def gone(pid, number):
        raise ProcessLookupError(pid)

    monkeypatch.setattr(os, "kill", gone)
    assert job.state == "running" and jobs.pause(job).wanted == "pause"


def test_a_new_turn_is_queued_again(tmp_path):
    assert folder_of(tmp_path, pid=2**22 + 1, birth=None, turn=4, exit=-9).state == "queued"


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"arguments": 1}', '{"wanted": "x"}'])
def test_a_damaged_record_is_no_job(tmp_path, damage):
    folder_of(tmp_path)
    (tmp_path / "run" / "job.json").write_text(damage)
    assert jobs.jobs_in(tmp_path) == []


HOSTILE = [
    None, True, -1, 1.5, 10**400, math.nan, "", "x\0", "\ud800", "\u202e", [], [[]], {}, {"a": []},
    [None], ["a\0"], ["\ud800"], [1],
]  # fmt: skip
FIELDS = {"job.json": ("arguments", "wanted", "turn"), "process.json": ("pid", "birth", "exit")}


@pytest.mark.parametrize(
    ("file", "name"), [(file, name) for file in FIELDS for name in FIELDS[file]]
)
def test_nothing_that_a_run_s_files_hold_hides_the_others(tmp_path, file, name):
    good = folder_of(tmp_path / "good", pid=2**22 + 1, birth=None, turn=5, exit=0)
    shutil.copytree(good.folder, tmp_path / "runs" / "good")
    for number, value in enumerate(HOSTILE):
        job = folder_of(tmp_path / "bad", pid=2**22 + 1, birth=None, turn=5, exit=0)
        record = json.loads((job.folder / file).read_text()) | {name: value}
        (job.folder / file).write_text(json.dumps(record))
        shutil.copytree(job.folder, tmp_path / "runs" / f"bad-{number}")
        shutil.rmtree(job.folder)
    found = jobs.jobs_in(tmp_path / "runs")
    assert "good" in [job.name for job in found]
    assert {job.state for job in found} <= set(get_args(jobs.JobState))
    assert jobs.at_work(tmp_path / "runs") == []


def test_nested_files_and_a_folder_as_log_hide_nothing(tmp_path):
    job = folder_of(tmp_path, pid=2**22 + 1, birth=None, turn=5, exit=0)
    (job.folder / jobs.LOG).mkdir()
    for file in ("process.json", "run.json"):
        (job.folder / file).write_text("[" * 100_000)
    (tmp_path / "nested").mkdir()
    (tmp_path / "nested" / "job.json").write_text('{"a":' * 100_000)
    assert jobs.jobs_in(tmp_path) == [job] and job.state == "queued" and job.last_words == ""


@pytest.mark.parametrize(
    "name", ["", " ", "..", ".", "a/b", "../up", "/root", "a\\b", "-x", ".hidden", "x" * 49, "a\n"]
)
def test_a_name_that_is_no_folder_s_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="name needs"):
        jobs.start(tmp_path / "runs", name, ARGUMENTS)
    assert not (tmp_path / "runs").exists()
