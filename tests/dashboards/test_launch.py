"""The server is for this machine only; a taken port is a sentence."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dashboards import launch
from dashboards.launch import FEW_HEAPS, HOST, command, free_port, start
from interp.cli.commands.dashboard import serve
from interp.core.errors import CheckpointError, ConfigError

ROOT = Path(__file__).resolve().parents[2]


def test_it_listens_on_this_machine_and_tells_nobody():
    line = command(8600)
    flags = {line[i][2:]: line[i + 1] for i in range(5, len(line), 2)}
    assert flags["server.address"] == HOST and flags["server.port"] == "8600"
    assert flags["browser.gatherUsageStats"] == "false"
    hosts = [line[i + 1] for i, part in enumerate(line) if part == "--server.allowedHosts"]
    assert hosts == ["localhost", HOST]


@pytest.mark.slow
def test_a_checkout_is_served_as_it_is_and_silently(tmp_path):
    """`streamlit run dashboards/app.py` takes the code and the settings that lie there."""
    for name in ("interp", "dashboards"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    app = str(tmp_path / "dashboards" / "app.py")
    program = (
        "import runpy, sys\n"
        "from streamlit import config\n"
        f"config._main_script_path = {app!r}\n"
        "config.get_config_options(force_reparse=True)\n"
        f"runpy.run_path({app!r}, run_name='app')\n"
        "import dashboards\n"
        "print(dashboards.__file__, *map(config.get_option, sys.argv[1:]), sep='\\n')"
    )
    names = ("server.address", "browser.gatherUsageStats")
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, *names],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split("\n")[:3] == [
        str(tmp_path / "dashboards" / "__init__.py"),
        HOST,
        "False",
    ]


def test_a_taken_port_is_refused_and_the_next_free_one_found():
    with socket.socket() as holder:
        holder.bind((HOST, 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(ConfigError, match=f"--port {port + 1}"):
            start(port)
        assert free_port(port) > port


def test_the_server_keeps_few_heaps_unless_it_is_told_otherwise(monkeypatch):
    name = "MALLOC_ARENA_MAX"
    monkeypatch.delenv(name, raising=False)
    assert launch._environment(())[name] == FEW_HEAPS[name]
    monkeypatch.setenv(name, "7")
    assert launch._environment(())[name] == "7"


def test_a_file_that_is_no_model_is_refused_by_what_can_be_opened(tmp_path):
    (tmp_path / "notes.txt").write_text("no model")
    with pytest.raises(CheckpointError, match="GGUF file, a folder of interp or of `transformers`"):
        serve(free_port(), (tmp_path / "notes.txt",))


def test_a_gguf_file_and_folders_are_given_to_the_server_by_their_paths(tmp_path):
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    told = launch._environment((file, tmp_path))[launch.FOLDERS]
    assert told == f"{file.resolve()}{os.pathsep}{tmp_path.resolve()}"
