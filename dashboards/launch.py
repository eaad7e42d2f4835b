"""Starts the dashboard's server: on this machine only, and silent towards every other."""

import json
import os
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from interp.core.errors import ConfigError

HOST, PORT = "127.0.0.1", 8501
APP = Path(__file__).with_name("app.py")
FOLDERS = "INTERP_DASHBOARD_FOLDERS"
"""Environment variable: where to look for models, instead of the usual places."""
SETTINGS = APP.parent / ".streamlit" / "config.toml"
"""Streamlit's settings. It finds them by itself; given as flags, a user's own cannot undo them."""
FEW_HEAPS = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""For glibc, which else gives every session's thread a heap of its own and keeps what they free."""


def command(port: int = PORT) -> list[str]:
    """The command line that serves the dashboard."""
    settings = tomllib.loads(SETTINGS.read_text(encoding="utf-8"))
    return [
        sys.executable, "-m", "streamlit", "run", str(APP), "--server.port", str(port),
        *_flags(settings),
    ]  # fmt: skip


def _flags(settings: Mapping[str, Any], prefix: str = "") -> list[str]:
    """`--server.address 127.0.0.1` and so on; a list is given value by value."""
    flags: list[str] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flags += _flags(value, f"{prefix}{name}.")
        else:
            values = value if isinstance(value, list) else [value]
            written = [json.dumps(each).strip('"') for each in values]
            flags += [part for each in written for part in (f"--{prefix}{name}", each)]
    return flags


def start(port: int = PORT, folders: Sequence[Path] = ()) -> subprocess.Popen:
    """Start the server; it runs until it is stopped.

    Args:
        port: on 127.0.0.1.
        folders: of models and runs; the shipped ones, `runs/` and `demo-run/` when empty.
    Raises:
        ConfigError: something listens on the port already.
    """
    if not is_free(port):
        raise ConfigError(
            f"The dashboard needs a free port; {port} of {HOST} is taken, perhaps by another "
            f"dashboard. Open http://{HOST}:{port}, or choose another port with --port {port + 1}."
        )
    return subprocess.Popen(command(port), env=_environment(folders), stdout=subprocess.DEVNULL)


def is_up(server: subprocess.Popen, port: int, seconds: float = 120.0) -> bool:
    """Wait until the server answers; False when it ended, or the time did."""
    until = time.monotonic() + seconds
    while server.poll() is None and time.monotonic() < until:
        with socket.socket() as visitor:
            if visitor.connect_ex((HOST, port)) == 0:
                return True
        time.sleep(0.1)
    return False


def free_port(first: int = PORT) -> int:
    """The first port from `first` on that no program listens on."""
    return next(port for port in range(first, 65536) if is_free(port))


def is_free(port: int) -> bool:
    """Whether a server can listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _environment(folders: Sequence[Path]) -> dict[str, str]:
    """This process's own, with this very package first on the path."""
    package = str(Path(__file__).resolve().parents[1])
    before = os.environ.get("PYTHONPATH")
    variables = {"PYTHONPATH": os.pathsep.join([package, before] if before else [package])}
    if folders:
        variables[FOLDERS] = os.pathsep.join(str(Path(folder).resolve()) for folder in folders)
    return {**FEW_HEAPS, **os.environ, **variables}
