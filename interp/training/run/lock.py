"""One process at a time in a run folder."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from interp.core.errors import TrainingError
from interp.training.run.write_errors import naming_refusals


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold a run folder's lock; the system frees it when the process dies, however it dies.

    Args:
        folder: the run's; made when missing.
    Raises:
        TrainingError: another process holds it (its pid and host are named), or the folder cannot
            be made or written.
    """
    lock = FileLock(folder / "run.lock", timeout=0)
    holder = folder / "run.lock.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as refused:
        raise TrainingError(
            f"A run folder is for one run at a time; {_describe(holder)} is at work in {folder}. "
            f"Wait for it, stop it, or train into another folder."
        ) from refused
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"A run needs a folder that can be written; {str(folder)[:200]!r} could not be "
            f"({error}). Train into another folder."
        ) from error
    try:
        with naming_refusals("holder of the run's lock", folder):
            holder.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _describe(holder: Path) -> str:
    try:
        who = json.loads(holder.read_text())
        return f"process {who['pid']:d} on {who['host']:.200s}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another process"
