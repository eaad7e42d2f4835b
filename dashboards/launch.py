"""Starts the dashboard's server: on this machine only, and silent towards every other."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from interp.core.errors import ConfigError

HOST, PORT = "127.0.0.1", 8501
APP = Path(__file__).with_name("app.py")
FOLDERS = "INTERP_DASHBOARD_FOLDERS"
"""Environment variable: where to look for models, instead of the usual places."""
SETTINGS = {
    "server.address": HOST,
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.enableStaticServing": "false",
    "server.maxUploadSize": "500",
    "server.allowedHosts": ["localhost", HOST],
    "browser.gatherUsageStats": "false",
    "browser.serverAddress": HOST,
    "runner.magicEnabled": "false",
    "client.toolbarMode": "minimal",
    "client.showErrorLinks": "false",
    "theme.paddingTop": "2.5rem",
    "theme.light.primaryColor": "#0072b2",
    "theme.dark.primaryColor": "#4aa3e0",
    "theme.light.secondaryBackgroundColor": "#f3f5f7",
    "theme.dark.backgroundColor": "#12161c",
    "theme.dark.secondaryBackgroundColor": "#1d232b",
}
"""No other host may reach it (also not by a name that points here), and nobody is told anything."""


FEW_HEAPS = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""For glibc, which else gives every session's thread a heap of its own and keeps what they free."""


def command(port: int = PORT) -> list[str]:
    """The command line that serves the dashboard."""
    flags = [
        part
        for name, value in SETTINGS.items()
        for each in (value if isinstance(value, list) else [value])
        for part in (f"--{name}", each)
    ]
    return [
        sys.executable, "-m", "streamlit", "run", str(APP), "--server.port", str(port), *flags,
    ]  # fmt: skip


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
            f"Port {port} of {HOST} is taken, perhaps by another dashboard: look at "
            f"http://{HOST}:{port}, or choose one with --port {port + 1}."
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
    """The first port from `first` on that nobody listens on."""
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
