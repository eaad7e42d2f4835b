"""One process a run folder; a dead holder's lock is nobody's."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from interp.core.errors import TrainingError
from interp.training.run.lock import run_lock

HOLD = """
import sys, time
from pathlib import Path
from interp.training.run.lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_start_is_refused_and_names_the_holder(holder, tmp_path):
    expected = rf"process {holder.pid} on {socket.gethostname()}"
    with pytest.raises(TrainingError, match=expected), run_lock(tmp_path):
        pass


def test_a_killed_holder_does_not_stand_in_the_way(holder, tmp_path):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with run_lock(tmp_path):
        assert (tmp_path / "run.lock.json").exists()
    assert not (tmp_path / "run.lock.json").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "3", "null", '{"pid": [], "host": 1}', '{"pid": "x"}', "[" * 100_000]
)
def test_any_description_of_a_holder_can_be_read(holder, tmp_path, text):
    (tmp_path / "run.lock.json").write_text(text)
    with pytest.raises(TrainingError, match="another process is at work"), run_lock(tmp_path):
        pass


def test_it_can_be_taken_again_after_an_error(tmp_path):
    with pytest.raises(KeyError), run_lock(tmp_path):
        raise KeyError
    with run_lock(tmp_path / "deeper" / "folder"), run_lock(tmp_path):
        pass
