"""`python -m interp.training.jobs.worker RUNS` does the queued jobs of a folder, one by one.

It belongs to nobody: whoever started it may close the tab, stop the server or log out.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from filelock import FileLock, Timeout

from interp.training.jobs import jobs
from interp.training.jobs.processes import environment, python

PATIENCE_SECONDS = 0.3
NICENESS = 5
"""The one who looks and clicks goes before the one who trains."""


def work(runs: Path) -> None:
    """Do every queued job; leave at once when another worker is at it."""
    # Who asks while this worker is leaving finds the lock taken: so look once more afterwards.
    while jobs.next_queued(runs):
        try:
            with FileLock(runs / ".worker.lock", timeout=0):
                jobs.note_worker(runs)
                while job := _next(runs):
                    run(job)
        except Timeout:
            return


def run(job: jobs.Job) -> None:
    """Do one job as its own process, and record how it ended."""
    with jobs.holding(job):
        job = jobs.read_job(job.folder) or job
        if job.state != "queued":
            return
        process = _started(job)
        jobs.note_process(job.folder, process.pid, job.turn)
    code = process.wait()
    with jobs.holding(job):
        jobs.note_process(job.folder, process.pid, job.turn, code)


def _next(runs: Path) -> jobs.Job | None:
    """The next job, when whatever an earlier worker left at work has ended."""
    while jobs.at_work(runs):
        time.sleep(PATIENCE_SECONDS)
    return jobs.next_queued(runs)


def _started(job: jobs.Job) -> subprocess.Popen:
    with (job.folder / jobs.LOG).open("ab") as log:
        return subprocess.Popen(
            python("interp", *job.command[1:]),
            env=environment(),
            cwd=job.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def main() -> None:
    """Leave whoever started this, and work."""
    if os.fork():
        os._exit(0)
    os.nice(NICENESS)
    work(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
