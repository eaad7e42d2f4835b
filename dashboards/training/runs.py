"""The runs of this machine: the state of each, and one of them live."""

import shlex
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from dashboards.page import navigation, result_card
from dashboards.page.downloads import download_button
from dashboards.page.error_message import guarded
from dashboards.page.link import linked
from dashboards.page.markdown import plain
from dashboards.page.model_list import Entry, entries
from dashboards.training.curve_card import curve_card
from dashboards.training.form import duration
from dashboards.training.log import TrainingLog
from interp.plots.learning import learning_curve
from interp.plots.learning.learning_curve import drawable
from interp.runs.curves import TrainingCurves
from interp.training.jobs import jobs
from interp.training.jobs.jobs import Job

EVERY_SECONDS = 2
MOST_SAMPLES = 8
LOW, HIGH = 190, 400
OPENED_IN = ("prediction", "logit_lens", "attention")
COLOURS = {"finished": "green", "failed": "red", "interrupted": "orange", "running": "blue"}
LOG_X = "Logarithmic step axis"


def watch(runs: Path) -> None:
    """Draw the chosen run, its report and downloads, and all runs.

    What changes while a run is active is redrawn on its own; the rest of the page only when a new
    checkpoint or state changes it.
    """
    all_jobs = jobs.jobs_in(runs)
    if not all_jobs:
        st.info("No run yet. A run that you start is shown here.", icon=":material/info:")
        return
    if any(job.state == "queued" for job in all_jobs) and not jobs.at_work(runs):
        jobs.wake(runs)
    job, log_x = _run_inputs(all_jobs)
    state = _page_state(runs, job.folder)
    every = EVERY_SECONDS if any(job.state in jobs.ACTIVE for job in all_jobs) else None
    live = guarded(partial(_live, runs, job.folder, state, log_x))
    st.fragment(live, run_every=every, key="live")()
    guarded(partial(curve_card, job, log_x=log_x))()
    _afterwards(job)
    st.fragment(guarded(partial(_written, runs, job.folder)), run_every=every, key="written")()


def _run_inputs(all_jobs: list[Job]) -> tuple[Job, bool]:
    """The chosen run, and whether its step axis is logarithmic."""
    jobs_by_name = {job.name: job for job in all_jobs}
    # Active runs come first; the order of the others stays.
    names = sorted(jobs_by_name, key=lambda name: jobs_by_name[name].state not in jobs.AT_WORK)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = linked(st.selectbox, "Run", names, key="run")
        log_x = linked(st.toggle, LOG_X, key="log_steps")
    return jobs_by_name[name], log_x


def _page_state(runs: Path, folder: Path) -> tuple[Any, ...]:
    """The state whose change redraws the page."""
    states = {job.name: job.state for job in jobs.jobs_in(runs)}
    return states, Entry(folder.name, folder).step, bool(TrainingLog.read(folder).train)


def _live(runs: Path, folder: Path, state: tuple[Any, ...], log_x: bool) -> None:
    job, log = jobs.read_job(folder), TrainingLog.read(folder)
    if job is not None:
        _headline(job, log)
        _buttons(job)
        if log.train:
            _curves(log.curves, log_x)
    if state != _page_state(runs, folder):
        st.rerun()


def _written(runs: Path, folder: Path) -> None:
    _samples(TrainingLog.read(folder))
    all_jobs = jobs.jobs_in(runs)
    if len(all_jobs) > 1:
        _table(all_jobs)


def _headline(job: Job, log: TrainingLog) -> None:
    state = job.state
    st.markdown(f":{COLOURS.get(state, 'gray')}-badge[{state}] **{plain(job.name)}**")
    if state in ("failed", "interrupted"):
        st.error(plain(_why(job)), icon=":material/error:")
    if state == "queued":
        st.caption("It starts when the run before it has ended.")
    if not log.train:
        if state == "running":
            st.caption("Preparing the training text …")
        return
    st.progress(min(log.step / max(log.steps, 1), 1.0), f"step {log.step:,} of {log.steps:,}")
    with st.container(horizontal=True, key="numbers"):
        for name, value in _numbers(log, state).items():
            st.metric(name, value, width=150)


def _numbers(log: TrainingLog, state: str) -> dict[str, str]:
    last = log.newest
    left = log.seconds_left if state in jobs.AT_WORK else None
    rate = log.tokens_per_second
    losses = {
        "Held-out loss": last.get("loss_nats_per_token"),
        "Floor": last.get("floor_nats_per_token"),
        "Regret": last.get("regret_nats_per_token"),
    }
    if losses["Floor"] is None:
        losses["Held-out loss per byte"] = last.get("loss_nats_per_byte")
    numbers = {name: f"{value:.3f}" for name, value in losses.items() if value is not None}
    numbers |= {"Tokens per second": f"{rate:,.0f}"} if rate else {}
    return numbers | ({"Time left": duration(left)} if left is not None else {})


def _why(job: Job) -> str:
    if job.state == "interrupted":
        return "The process of this run ended without a message, as if it was killed. Resume it."
    return job.last_words.removeprefix("interp: ") or f"The run failed; see {job.folder}."


def _buttons(job: Job) -> None:
    """The actions that the state of the run allows."""
    state = job.state
    actions: dict[str, tuple[Any, str, bool]] = {
        "Pause": (jobs.pause, "pause", state in ("queued", "running")),
        "Resume": (jobs.resume, "play_arrow", state in jobs.RESUMABLE),
        "Stop": (jobs.stop, "stop", state in ("queued", "running", "paused", "interrupted")),
    }
    with st.container(horizontal=True):
        for name, (act, icon, possible) in actions.items():
            key = f"{name.lower()}_run"
            if st.button(name, key=key, icon=f":material/{icon}:", disabled=not possible):
                act(job)
                st.rerun()


def _curves(curves: TrainingCurves, log_x: bool) -> None:
    """The losses in one figure, and the other curves in small ones side by side."""
    views = drawable(curves)
    for view in views[:1]:
        _curve(curves, view, log_x, HIGH)
    for column, view in zip(st.columns(max(1, len(views) - 1)), views[1:], strict=False):
        with column:
            _curve(curves, view, log_x, LOW)


def _curve(curves: TrainingCurves, view: str, log_x: bool, height: int) -> None:
    figure = learning_curve.figure(curves, view=view, log_x=log_x)
    # The zoom is kept when the figure is redrawn.
    figure.update_layout(height=height, uirevision=f"{log_x}")
    if height == LOW:
        figure.update_layout(margin={"l": 56, "r": 12, "t": 8, "b": 44})
    result_card.draw(figure, _in_words(curves, view), f"training_{view}")


def _in_words(curves: TrainingCurves, view: str) -> str:
    """What a figure shows, for screen readers."""
    if view != "loss":
        return f"{learning_curve.TITLES[view].capitalize()} by step"
    levels = ", ".join(f"{name} {value:.2f}" for name, value in curves.levels.items())
    newest = ""
    if len(curves.evaluations):
        loss, step = float(curves.held_out_loss[-1]), int(curves.evaluations[-1])
        newest = f"; held-out {loss:.2f} at step {step:,}"
    return f"Loss by step, in nats per token{newest}; levels: {levels}"


def _samples(log: TrainingLog) -> None:
    """The newest text first, then earlier ones, each from about half as many steps."""
    if not log.samples:
        return
    st.markdown("**Generated text**")
    for sample in _halving(log.samples):
        with st.container(border=True, gap="xsmall"):
            st.caption(f"step {sample['step']:,}")
            st.text(str(sample.get("text", "")).strip() or "(empty)")


def _halving(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept_samples = [samples[-1]]
    for sample in reversed(samples):
        if sample["step"] <= kept_samples[-1]["step"] * 0.6:
            kept_samples.append(sample)
    return kept_samples[: MOST_SAMPLES - 1] + kept_samples[MOST_SAMPLES - 1 :][-1:]


def _afterwards(job: Job) -> None:
    model = next((e for e in entries() if e.folder.resolve() == job.folder.resolve()), None)
    if model is not None and model.steps:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("Open this model:", width="content")
            for stem in (stem for stem in OPENED_IN if stem in navigation.stems()):
                st.page_link(navigation.page(stem), query_params={"model": model.name})
    with st.expander("Command", icon=":material/terminal:"):
        st.code(shlex.join(job.command), language="bash", wrap_lines=True)
    if TrainingLog.read(job.folder).train:
        content = partial(_csv, job.folder)
        download_button("CSV of all curves", f"{job.name}.csv", content, key="training_csv")


def _csv(folder: Path) -> str:
    """Every update and evaluation so far."""
    log = TrainingLog.read(folder)
    return pd.DataFrame(log.train + log.evaluations).to_csv(index=False)


def _table(all_jobs: list[Job]) -> None:
    st.markdown("**All runs**, newest first")
    rows = []
    for job in all_jobs:
        log = TrainingLog.read(job.folder)
        rows.append({
            "run": job.name,
            "state": job.state,
            "step": log.step,
            "of steps": log.steps or None,
            "held-out loss": log.newest.get("loss_nats_per_token"),
            "regret": log.newest.get("regret_nats_per_token"),
        })  # fmt: skip
    result_card.table(pd.DataFrame(rows), "Every run with its state, steps and loss")
