"""Files are whole or as they were, whatever goes wrong while they are written."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
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


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("rename", [1, 2])
def test_an_old_folder_comes_back_when_the_new_one_cannot_take_its_place(
    tmp_path, monkeypatch, error, rename
):
    with files.replacing_folder(tmp_path / "f") as temporary:
        files.write_text(temporary / "a", "old")
    move, count = Path.rename, iter(range(1, 99))

    def fail(path, target):
        if next(count) == rename:
            raise error
        return move(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(error), files.replacing_folder(tmp_path / "f") as temporary:
        files.write_text(temporary / "a", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    assert (tmp_path / "f" / "a").read_text() == "old"


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_folder_takes_the_place_of_folders_only(tmp_path, kind):
    (tmp_path / "mine").mkdir()
    place = tmp_path / "f"
    place.write_text("mine") if kind == "file" else place.symlink_to(tmp_path / "mine")
    with pytest.raises(CheckpointError, match="must be a folder"), files.replacing_folder(place):
        pass
    assert place.read_text() == "mine" if kind == "file" else place.is_symlink()


def test_what_killed_writers_left_goes_and_an_old_folder_comes_back(tmp_path):
    ours = [".a.json.0123456789ab.tmp", ".f.0123456789ab.tmp", ".g.0123456789ab.old", ".tmpAb12Cd"]
    others = [".mine.tmp", ".tmp", ".tmpAb12Cde", ".a.0123456789AB.tmp", "a.0123456789ab.tmp", "f"]
    for name in [*ours, *others, ".f.0123456789ab.old", "g"]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text(name)
    shutil.rmtree(tmp_path / "f")
    files.remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*others, "g"}
    assert (tmp_path / "f" / "a").read_text() == ".f.0123456789ab.old"
    assert (tmp_path / "g" / "a").read_text() == "g"
    files.remove_leftovers(tmp_path / "none")


def test_what_safetensors_leaves_is_known(tmp_path):
    """The library writes under a name of its own, which a kill leaves behind."""
    names, done = set(), threading.Event()

    def look():
        while not done.is_set():
            names.update(os.listdir(tmp_path))

    watcher = threading.Thread(target=look)
    watcher.start()
    for _ in range(20):
        files.write_safetensors(tmp_path / "w.safetensors", {"a": torch.zeros(2**18)})
    done.set()
    watcher.join()
    for name in names - {"w.safetensors"}:
        (tmp_path / name).write_text("left")
    files.remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["w.safetensors"] and len(names) > 1


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
