"""Training runs in the background: queued here, done by `worker.py`, recorded in files.

A run's folder is the whole truth about it: `job.json` holds what is wanted, `process.json` which
process had the last turn and how it ended, `train.log` what it printed. So any process can look,
and the one that queued the run need not live on. No torch is loaded here.
"""

import json
import os
import re
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from interp.core.errors import ConfigError, TrainingError
from interp.training.jobs.processes import birth, launch, python

JobState = Literal[
    "queued", "running", "pausing", "paused", "stopping", "stopped",
    "interrupted", "failed", "finished",
]  # fmt: skip
Wanted = Literal["run", "pause", "stop"]
AT_WORK = ("running", "pausing", "stopping")
ACTIVE = ("queued", *AT_WORK)
RESUMABLE = ("paused", "stopped", "interrupted", "failed")
LOG = "train.log"
LONGEST_NAME = 48
_JOB, _PROCESS = "job.json", "process.json"
_BY_SIGNAL = (128 + signal.SIGINT, 128 + signal.SIGTERM)
_WHILE_ALIVE: dict[str, JobState] = {"run": "running", "pause": "pausing", "stop": "stopping"}
_AT_REST: dict[str, JobState] = {"pause": "paused", "stop": "stopped"}


@dataclass(frozen=True, kw_only=True)
class Job:
    """A queued run.

    Attributes:
        folder: folder of the run.
        arguments: arguments of `interp train`, without `--out`.
        wanted: what the last request wants of the run.
        turn: time of the last request to run, in nanoseconds; it orders the queue.
    """

    folder: Path
    arguments: tuple[str, ...]
    wanted: Wanted
    turn: int

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.folder.name

    @property
    def command(self) -> list[str]:
        """What a person would type to go on with this run."""
        return ["interp", "train", *self.arguments, "--out", str(self.folder)]

    @property
    def state(self) -> JobState:
        """What the run does now, by its files and the living processes."""
        process = _read(self.folder / _PROCESS)
        if is_alive(process):
            return _WHILE_ALIVE[self.wanted]
        if "model_hash" in _read(self.folder / "run.json"):
            return "finished"
        if self.wanted != "run":
            return _AT_REST[self.wanted]
        if process.get("turn") != self.turn:
            return "queued"
        return _ended(process.get("exit"))

    @property
    def last_words(self) -> str:
        """The last line that the run said; empty when it said nothing."""
        try:
            text = (self.folder / LOG).read_text("utf-8", errors="replace")
        except OSError:
            return ""
        return next((line for line in reversed(text.splitlines()) if line.strip()), "")


def jobs_in(runs: Path) -> list[Job]:
    """Every job of a folder of runs, the newest turn first."""
    jobs = (read_job(path.parent) for path in runs.glob(f"*/{_JOB}"))
    return sorted((job for job in jobs if job), key=lambda job: job.turn, reverse=True)


def read_job(folder: Path) -> Job | None:
    """The job of a run's folder; None when there is none that can be read."""
    record = _read(folder / _JOB)
    arguments, wanted, turn = (record.get(name) for name in ("arguments", "wanted", "turn"))
    sound = isinstance(arguments, list) and all(map(_is_argument, arguments))
    if not sound or wanted not in [*_WHILE_ALIVE] or type(turn) is not int:
        return None
    return Job(folder=folder, arguments=tuple(arguments), wanted=wanted, turn=turn)


def check_name(name: str) -> str:
    """A run's name that can be a folder's anywhere.

    Raises:
        ConfigError: it is empty, too long, or holds other signs than letters, digits, `_`, `-`, `.`

    Example:
        >>> check_name("my-first.run")
        'my-first.run'
    """
    if len(name) > LONGEST_NAME or not re.fullmatch(r"\w[\w.-]*", name) or name.endswith("."):
        raise ConfigError(
            f"A run's name needs 1 to {LONGEST_NAME} letters, digits, '_', '-' or '.', a letter or "
            f"digit first; {name[:LONGEST_NAME]!r} is not one. Choose another."
        )
    return name


def start(
    runs: Path, name: str, arguments: Sequence[str], texts: Mapping[str, bytes] | None = None
) -> Job:
    """Ask for a new run; it begins when no other run of the folder is at work.

    Args:
        runs: the folder of all runs.
        name: name of the new run.
        arguments: arguments of `interp train`, without `--out`.
        texts: content of the files to train on, by file name; they are kept with the run.
    Returns:
        The job, queued.
    Raises:
        ConfigError: the name cannot be used, or the run is there already.
    """
    folder = runs.resolve() / check_name(name)
    runs.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir()
    except FileExistsError:
        raise ConfigError(_taken(folder)) from None
    given = list(arguments)
    for file, content in (texts or {}).items():
        (folder / "text").mkdir(exist_ok=True)
        (folder / "text" / Path(file).name).write_bytes(content)
        given = [*arguments, "--data", str(folder / "text")]
    job = Job(folder=folder, arguments=tuple(given), wanted="run", turn=time.time_ns())
    with holding(job):
        _keep(job)
    wake(runs)
    return job


def pause(job: Job) -> Job:
    """Let the run save its state and leave; `resume` goes on from there to the same weights.

    Raises:
        TrainingError: it neither runs nor waits.
    """
    return _leave(job, "pause")


def stop(job: Job) -> Job:
    """End the run for good; its state is saved, so that even this can be taken back.

    Raises:
        TrainingError: there is nothing to end.
    """
    return _leave(job, "stop")


def resume(job: Job) -> Job:
    """Ask for the rest of a run that was paused, stopped, interrupted, or failed.

    Raises:
        TrainingError: it runs, waits, or is finished.
    """
    with holding(job):
        job = read_job(job.folder) or job
        if job.state not in RESUMABLE:
            raise TrainingError(
                f"A run that rests can be resumed; {job.name} is {job.state}. Look at it, or start "
                "another one."
            )
        job = replace(job, wanted="run", turn=time.time_ns())
        _keep(job)
    wake(job.folder.parent)
    return job


def wake(runs: Path) -> None:
    """See to it that somebody works on the queue.

    Raises:
        ConfigError: this system cannot train in the background.
    """
    if not is_alive(_read(runs / ".worker.json")) or not any(at_work(runs)):
        launch(python("interp.training.jobs.worker", runs.resolve()), runs / ".worker.log")


def read_pid(job: Job) -> int | None:
    """The number of the process that has, or had, the job's last turn."""
    return _read(job.folder / _PROCESS).get("pid")


def at_work(runs: Path) -> list[Job]:
    """The jobs that have a living process."""
    return [job for job in jobs_in(runs) if job.state in AT_WORK]


def next_queued(runs: Path) -> Job | None:
    """The job that waits longest."""
    return next((job for job in reversed(jobs_in(runs)) if job.state == "queued"), None)


@contextmanager
def holding(job: Job) -> Iterator[None]:
    """One at a time asks something of a job, or starts it."""
    with FileLock(job.folder / "job.lock"):
        yield


def note_process(folder: Path, pid: int, turn: int, exit_code: int | None = None) -> None:
    """Record which process has, or had, a job's turn."""
    record = {"pid": pid, "birth": birth(pid), "turn": turn, "exit": exit_code}
    _write(folder / _PROCESS, record)


def note_worker(runs: Path) -> None:
    """Record that this process works on the queue."""
    _write(runs / ".worker.json", {"pid": os.getpid(), "birth": birth(os.getpid())})


def is_alive(process: Mapping[str, Any]) -> bool:
    """Whether the process of a record lives, and not another one that got its number."""
    pid, born = process.get("pid"), process.get("birth")
    return isinstance(pid, int) and born is not None and birth(pid) == born


def _leave(job: Job, wanted: Wanted) -> Job:
    with holding(job):
        job = read_job(job.folder) or job
        state = job.state
        if state not in ("running", "queued") and not (wanted == "stop" and state in RESUMABLE):
            raise TrainingError(f"A run at work can be asked to {wanted}; {job.name} is {state}.")
        job = replace(job, wanted=wanted)
        _keep(job)
        if state == "running":
            with suppress(ProcessLookupError):  # It may just have ended by itself.
                os.kill(read_pid(job), signal.SIGTERM)
    return job


def _is_argument(value: Any) -> bool:
    """Whether a process can be given this argument; a file may hold anything."""
    try:
        return isinstance(value, str) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def _ended(exit_code: Any) -> JobState:
    if exit_code in _BY_SIGNAL:
        return "paused"
    return "failed" if isinstance(exit_code, int) and exit_code > 0 else "interrupted"


def _taken(folder: Path) -> str:
    job = read_job(folder)
    problem = f"is there already and {job.state}" if job else "is there already"
    return (
        f"A new run needs a name of its own; {folder.name!r} {problem}. Choose another name, or "
        "go on with that run."
    )


def _keep(job: Job) -> None:
    record = {"arguments": list(job.arguments), "wanted": job.wanted, "turn": job.turn}
    _write(job.folder / _JOB, record)


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _write(path: Path, value: Mapping[str, Any]) -> None:
    # One name, for the job's or the worker's lock is held: a killed writer's is written over.
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(value, indent=1), "utf-8")
    temporary.replace(path)
