"""The runs of this machine: what each does now, and one of them live."""

import shlex
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from dashboards.page import header, navigation, result_card
from dashboards.page.error_message import guarded
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
LOG_X = "Steps on a logarithmic axis"


def watch(runs: Path) -> None:
    """Draw the chosen run, what can be taken home of it, and all runs.

    What changes while a run is at work is drawn anew by itself; the rest of the page only when a
    checkpoint or a change of state gives it something new.
    """
    known = jobs.jobs_in(runs)
    if not known:
        st.info("No run was started here yet. It will be shown here.", icon=":material/info:")
        return
    if any(job.state == "queued" for job in known) and not jobs.at_work(runs):
        jobs.wake(runs)
    job, log_x = _chosen(known)
    seen = _seen(runs, job.folder)
    every = EVERY_SECONDS if any(job.state in jobs.ACTIVE for job in known) else None
    live = guarded(partial(_live, runs, job.folder, seen, log_x))
    st.fragment(live, run_every=every, key="live")()
    guarded(partial(curve_card, job, log_x=log_x))()
    _afterwards(job)
    st.fragment(guarded(partial(_written, runs, job.folder)), run_every=every, key="written")()


def _chosen(known: list[Job]) -> tuple[Job, bool]:
    """The run that is looked at, and whether its steps are on a logarithmic axis."""
    jobs_by_name = {job.name: job for job in known}
    # What is at work comes first; the order of the others stays.
    names = sorted(jobs_by_name, key=lambda name: jobs_by_name[name].state not in jobs.AT_WORK)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Run", names, key="run", **header.LINK)
        log_x = st.toggle(LOG_X, key="log_steps", **header.LINK)
    return jobs_by_name[name], log_x


def _seen(runs: Path, folder: Path) -> tuple[Any, ...]:
    """What the page is drawn anew for, when it changes."""
    states = {job.name: job.state for job in jobs.jobs_in(runs)}
    return states, Entry(folder.name, folder).step, bool(TrainingLog.read(folder).train)


def _live(runs: Path, folder: Path, seen: tuple[Any, ...], log_x: bool) -> None:
    job, log = jobs.read_job(folder), TrainingLog.read(folder)
    if job is not None:
        _headline(job, log)
        _buttons(job)
        if log.train:
            _curves(log.curves, log_x)
    if seen != _seen(runs, folder):
        st.rerun()


def _written(runs: Path, folder: Path) -> None:
    _samples(TrainingLog.read(folder))
    known = jobs.jobs_in(runs)
    if len(known) > 1:
        _table(known)


def _headline(job: Job, log: TrainingLog) -> None:
    state = job.state
    st.markdown(f":{COLOURS.get(state, 'gray')}-badge[{state}] **{plain(job.name)}**")
    if state in ("failed", "interrupted"):
        st.error(plain(_why(job)), icon=":material/error:")
    if state == "queued":
        st.caption("It begins when the run before it has ended.")
    if not log.train:
        if state == "running":
            st.caption("It writes the text that it will learn from …")
        return
    st.progress(min(log.step / max(log.steps, 1), 1.0), f"step {log.step:,} of {log.steps:,}")
    with st.container(horizontal=True, key="numbers"):
        for name, value in _numbers(log, state).items():
            st.metric(name, value, width=150)


def _numbers(log: TrainingLog, state: str) -> dict[str, str]:
    last = log.newest
    left = log.seconds_left if state in jobs.AT_WORK else None
    rate = log.tokens_per_second
    told = {
        "Held-out loss": last.get("loss_nats_per_token"),
        "Floor": last.get("floor_nats_per_token"),
        "Regret": last.get("regret_nats_per_token"),
    }
    numbers = {name: f"{value:.3f}" for name, value in told.items() if value is not None}
    numbers |= {"Tokens a second": f"{rate:,.0f}"} if rate else {}
    return numbers | ({"Time left": duration(left)} if left is not None else {})


def _why(job: Job) -> str:
    if job.state == "interrupted":
        return "The run's process ended without a word, as when it is killed. Resume it."
    return job.last_words.removeprefix("interp: ") or f"It failed; {job.folder} tells more."


def _buttons(job: Job) -> None:
    """What can be asked of a run in its state."""
    state = job.state
    offered: dict[str, tuple[Any, str, bool]] = {
        "Pause": (jobs.pause, "pause", state in ("queued", "running")),
        "Resume": (jobs.resume, "play_arrow", state in jobs.RESUMABLE),
        "Stop": (jobs.stop, "stop", state in ("queued", "running", "paused", "interrupted")),
    }
    with st.container(horizontal=True):
        for name, (act, icon, possible) in offered.items():
            key = f"{name.lower()}_run"
            if st.button(name, key=key, icon=f":material/{icon}:", disabled=not possible):
                act(job)
                st.rerun()


def _curves(curves: TrainingCurves, log_x: bool) -> None:
    """The losses in one figure, and what else there is in small ones beside each other."""
    views = drawable(curves)
    for view in views[:1]:
        _curve(curves, view, log_x, HIGH)
    for column, view in zip(st.columns(max(1, len(views) - 1)), views[1:], strict=False):
        with column:
            _curve(curves, view, log_x, LOW)


def _curve(curves: TrainingCurves, view: str, log_x: bool, height: int) -> None:
    figure = learning_curve.figure(curves, view=view, log_x=log_x)
    # A reader's zoom outlives the next reading.
    figure.update_layout(height=height, uirevision=f"{log_x}")
    if height == LOW:
        figure.update_layout(margin={"l": 56, "r": 12, "t": 8, "b": 44})
    result_card.draw(figure, _in_words(curves, view), f"training_{view}")


def _in_words(curves: TrainingCurves, view: str) -> str:
    """What a figure shows, for those who cannot see it."""
    if view != "loss":
        return f"{learning_curve.TITLES[view].capitalize()} by step"
    levels = ", ".join(f"{name} {value:.2f}" for name, value in curves.levels.items())
    told = ""
    if len(curves.evaluations):
        loss, step = float(curves.held_out_loss[-1]), int(curves.evaluations[-1])
        told = f"; held-out {loss:.2f} at step {step:,}"
    return f"Loss by step, in nats a token{told}; levels: {levels}"


def _samples(log: TrainingLog) -> None:
    """The newest text on top, then ever earlier ones, each from about half as many steps."""
    if not log.samples:
        return
    st.markdown("**What it writes**")
    for sample in _halving(log.samples):
        with st.container(border=True, gap="xsmall"):
            st.caption(f"step {sample['step']:,}")
            st.text(str(sample.get("text", "")).strip() or "(nothing)")


def _halving(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    shown = [samples[-1]]
    for sample in reversed(samples):
        if sample["step"] <= shown[-1]["step"] * 0.6:
            shown.append(sample)
    return shown[: MOST_SAMPLES - 1] + shown[MOST_SAMPLES - 1 :][-1:]


def _afterwards(job: Job) -> None:
    model = next((e for e in entries() if e.folder.resolve() == job.folder.resolve()), None)
    if model is not None and model.steps:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("Open it:", width="content")
            for stem in (stem for stem in OPENED_IN if stem in navigation.stems()):
                st.page_link(navigation.page(stem), query_params={"model": model.name})
    with st.expander("On the command line", icon=":material/terminal:"):
        st.code(shlex.join(job.command), language="bash", wrap_lines=True)
    if TrainingLog.read(job.folder).train:
        st.download_button(
            "CSV: every number of the curves",
            data=partial(_csv, job.folder),
            file_name=f"{job.name}.csv",
            mime="text/csv",
            key="training_csv",
            on_click="ignore",
            icon=":material/download:",
        )


def _csv(folder: Path) -> str:
    """Every update and evaluation, up to the moment at which it is asked for."""
    log = TrainingLog.read(folder)
    return pd.DataFrame(log.train + log.evaluations).to_csv(index=False)


def _table(known: list[Job]) -> None:
    st.markdown("**All runs**, the newest first")
    rows = []
    for job in known:
        log = TrainingLog.read(job.folder)
        rows.append({
            "run": job.name,
            "state": job.state,
            "step": log.step,
            "of": log.steps or None,
            "held-out loss": log.newest.get("loss_nats_per_token"),
            "regret": log.newest.get("regret_nats_per_token"),
        })  # fmt: skip
    result_card.table(pd.DataFrame(rows), "Every run with its state, steps and loss")
