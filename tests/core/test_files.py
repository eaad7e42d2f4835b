"""Files are whole or as they were, whatever goes wrong while they are written."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.core import files
from interp.core.errors import CheckpointError


class Stop(Exception):
    """Something goes wrong in the middle."""


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    files.write_text(tmp_path / "a.txt", "old")
    with pytest.raises(Stop), files.replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise Stop
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    with files.replacing_folder(tmp_path / "f") as temporary:
        files.write_text(temporary / "sub" / "a", "old")
    with pytest.raises(Stop), files.replacing_folder(tmp_path / "f") as temporary:
        files.write_text(temporary / "a", "half")
        raise Stop
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    assert (tmp_path / "f" / "sub" / "a").read_text() == "old"
    with files.replacing_folder(tmp_path / "f") as temporary:
        files.write_text(temporary / "b", "new")
    assert [path.name for path in (tmp_path / "f").iterdir()] == ["b"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs POSIX limits")
@pytest.mark.parametrize("how", ["full disk", "killed"])
def test_a_full_disk_or_a_kill_leaves_the_old_tensors(tmp_path, how):
    path = tmp_path / "w.safetensors"
    files.write_safetensors(path, {"a": torch.arange(5)})
    before = path.read_bytes()
    program = textwrap.dedent(f"""
        import os, resource, signal, sys, torch
        from interp.core import files
        if {how == "full disk"}:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        else:
            files.sync = lambda path: os.kill(os.getpid(), signal.SIGKILL)
        try:
            files.write_safetensors({str(path)!r}, {{"a": torch.zeros(10_000)}})
        except Exception as error:
            sys.exit(7)
    """)
    root = str(Path(files.__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": root})
    assert done.returncode == (7 if how == "full disk" else -signal.SIGKILL)
    assert path.read_bytes() == before
    files.write_safetensors(path, {"a": torch.zeros(3)})
    assert files.safe_load_safetensors(path)["a"].tolist() == [0, 0, 0]


@settings(max_examples=300, deadline=None)
@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("f") / "x"
    path.write_bytes(content)
    for read in (files.read_json, files.safe_load_safetensors, files.safetensors_shapes):
        try:
            read(path)
        except CheckpointError as error:
            assert str(path) in str(error)


@settings(max_examples=100, deadline=None)
@given(
    value=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text()
        | st.floats(allow_nan=False, width=16),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=9,
    ).filter(lambda v: "Infinity" not in json.dumps(v))
)
def test_json_comes_back(value, tmp_path_factory):
    path = tmp_path_factory.mktemp("f") / "x.json"
    files.write_json(path, value)
    assert files.read_json(path) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": object()}])
def test_what_json_cannot_hold_is_refused(value, tmp_path):
    with pytest.raises((ValueError, TypeError)):
        files.write_json(tmp_path / "x.json", value)
    assert list(tmp_path.iterdir()) == []


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("x")
    files.write_text(tmp_path / "ours", "x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode
