"""Other processes of this machine: which one a number means, and how to start one that stays."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from interp.core.errors import ConfigError

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_STATE, _START = 0, 19
"""Fields of /proc/PID/stat behind the program's name."""


def birth(pid: int) -> str | None:
    """What tells a living process from all that ever had, or will have, the same number.

    Args:
        pid: number of a process of this machine.
    Returns:
        When it was started, as text to compare; None when there is no such process, or it is dead.

    Example:
        >>> birth(os.getpid()) == birth(os.getpid()) is not None
        True
    """
    return _by_proc(pid) if _BOOT.exists() else _by_ps(pid)


def _by_proc(pid: int) -> str | None:
    try:
        record = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
        fields = record.rpartition(")")[2].split()
        return None if fields[_STATE] in "ZX" else f"{_BOOT.read_text().strip()} {fields[_START]}"
    except OSError:
        return None


def _by_ps(pid: int) -> str | None:
    asked = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    fields = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
    return None if not fields or fields[0].startswith("Z") else " ".join(fields[1:])


def python(module: str, *arguments: object) -> list[str]:
    """The command line of a module of this package; no file of the working folder is imported."""
    return [sys.executable, "-P", "-m", module, *map(str, arguments)]


def environment() -> dict[str, str]:
    """This process's own, with this very package first on the path."""
    package = str(Path(__file__).resolve().parents[3])
    before = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys([package, *before]))}


def launch(command: Sequence[str], log: Path) -> None:
    """Run a command that forks itself away and leaves; what it says goes to the end of a file.

    It belongs to no terminal, tab or server: nothing of this process reaches it.

    Raises:
        ConfigError: this system cannot fork, or the command failed.
    """
    if not hasattr(os, "fork"):
        raise ConfigError(
            "Training in the background needs Linux or macOS; this is another system. Train with "
            "`interp train` in a terminal."
        )
    with log.open("ab") as file:
        done = subprocess.run(
            command,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            check=False,
        )
    if done.returncode:
        raise ConfigError(
            f"The training could not be started (exit code {done.returncode}); {log} says why."
        )
