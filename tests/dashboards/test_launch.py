"""The server is for this machine only; a taken port is a sentence."""

import socket

import pytest

from dashboards import launch
from dashboards.launch import FEW_HEAPS, HOST, SETTINGS, command, free_port, start
from interp.core.errors import ConfigError


def test_it_listens_on_this_machine_and_tells_nobody():
    line = command(8600)
    flags = {line[i][2:]: line[i + 1] for i in range(5, len(line), 2)}
    assert flags["server.address"] == HOST and flags["server.port"] == "8600"
    assert flags["browser.gatherUsageStats"] == "false"
    assert SETTINGS["server.allowedHosts"] == ["localhost", HOST]


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
