"""The runs of this machine: what each does now, and one of them live."""

import shlex
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from interp.dashboards import exhibit, frame, views
from interp.dashboards.guard import guarded
from interp.dashboards.plain import plain
from interp.dashboards.shelf import entries
from interp.dashboards.training_figures import loss_figure, small_figures
from interp.dashboards.training_form import duration
from interp.dashboards.training_log import TrainingLog
from interp.training import jobs
from interp.training.jobs import Job

EVERY_SECONDS = 2
MOST_SAMPLES = 8
OPENED_IN = ("prediction", "logit_lens", "attention")
COLOURS = {"finished": "green", "failed": "red", "interrupted": "orange", "running": "blue"}
LOG_X = "Steps on a logarithmic axis"


def watch(runs: Path) -> None:
    """Draw the list of runs and the chosen one; both follow what happens while a run is at work."""
    known = jobs.jobs_in(runs)
    if not known:
        st.info("No run was started here yet. It will be shown here.", icon=":material/info:")
        return
    if any(job.state == "queued" for job in known) and not jobs.at_work(runs):
        jobs.wake(runs)
    busy = any(job.state in jobs.ACTIVE for job in known)
    live = guarded(partial(_live, runs, busy))
    st.fragment(live, run_every=EVERY_SECONDS if busy else None, key="live")()


def _live(runs: Path, busy: bool) -> None:
    known = jobs.jobs_in(runs)
    states = {job.name: job.state for job in known}
    # What is at work comes first; the order of the others stays.
    names = sorted(states, key=lambda name: states[name] not in jobs.AT_WORK)
    name = st.selectbox("Run", names, key="run", **frame.LINK)
    job = next(job for job in known if job.name == name)
    log = TrainingLog.read(job.folder)
    _headline(job, log)
    _buttons(job)
    if log.train:
        _curves(log)
    _samples(log)
    _afterwards(job, log)
    if len(known) > 1:
        _table(known)
    if busy != any(state in jobs.ACTIVE for state in states.values()):
        st.rerun()  # The page begins or ceases to follow.


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


def _curves(log: TrainingLog) -> None:
    log_x = st.toggle(LOG_X, key="log_steps", **frame.LINK)
    levels = ", ".join(f"{name} {value:.2f}" for name, value in log.levels.items())
    last = log.newest.get("loss_nats_per_token")
    told = "" if last is None else f"; held-out {last:.2f} at step {log.newest['step']}"
    words = f"Loss by step, in nats a token{told}; levels: {levels}"
    exhibit.draw(loss_figure(log, log_x=log_x), words, "training_loss")
    if len(log.recipe.get("stages", ())) > 1:
        st.caption(
            "The curriculum begins with easier text; the held-out text is of the last level from "
            "the first step on, so its loss falls late."
        )
    figures = small_figures(log, log_x=log_x)
    for column, (name, figure) in zip(st.columns(len(figures)), figures.items(), strict=True):
        with column:
            words = f"{name.capitalize()} by step"
            exhibit.draw(figure, words, f"training_{name.split('/')[0].replace(' ', '_')}")


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


def _afterwards(job: Job, log: TrainingLog) -> None:
    model = next((e for e in entries() if e.folder.resolve() == job.folder.resolve()), None)
    if model is not None and model.steps:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("Open it:", width="content")
            for stem in (stem for stem in OPENED_IN if stem in views.stems()):
                st.page_link(views.page(stem), query_params={"model": model.name})
    with st.expander("On the command line", icon=":material/terminal:"):
        st.code(shlex.join(job.command), language="bash", wrap_lines=True)
    if log.train:
        rows = pd.DataFrame(log.train + log.evaluations)
        st.download_button(
            "CSV: every number of the curves",
            data=lambda: rows.to_csv(index=False),
            file_name=f"{job.name}.csv",
            mime="text/csv",
            key="training_csv",
            on_click="ignore",
            icon=":material/download:",
        )


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
    exhibit.table(pd.DataFrame(rows), "Every run with its state, steps and loss")
