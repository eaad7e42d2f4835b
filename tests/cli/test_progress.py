"""A measurement tells what it costs and how far it is, and stops cleanly when asked to."""

import os
import signal
import subprocess
import sys
from functools import partial

import pytest
from click.testing import CliRunner

from interp.cli.commands import run
from interp.cli.progress import MeasurementProgress
from interp.core.cost import CostError, cost_limit
from interp.core.progress import Progress
from tests.cli.conftest import TEXT


def test_away_from_a_terminal_a_cost_is_a_line_and_a_quick_measurement_is_silent(capsys):
    with MeasurementProgress() as progress:
        progress(Progress(stage="about 9 s and 0.1 GB", share=0.0, is_cost=True))
        progress(Progress(stage="layer 1", share=0.5))
    said = capsys.readouterr().err
    assert said == "  0%  about 9 s and 0.1 GB\n"


def test_a_measurement_over_the_limit_asks_first_and_yes_goes_on(tiny_folder):
    arguments = ["head_ablation", "--model", tiny_folder, "--prompt", TEXT]
    with cost_limit(seconds=0):
        refused = CliRunner().invoke(run.command, arguments)
        assert isinstance(refused.exception, CostError) and "--yes" in str(refused.exception)
        done = CliRunner().invoke(run.command, [*arguments, "--yes"])
    assert done.exit_code == 0 and done.output.startswith("Head ablation:")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to a child on Windows")
def test_ctrl_c_leaves_with_130_and_nothing_half_written(tiny_folder, tmp_path):
    command = [sys.executable, "-m", "interp", "run", "heads", "--model", tiny_folder, "--yes"]
    command += [
        "--n-sequences",
        "40000",
        "--out",
        str(tmp_path / "r"),
        "--csv",
        str(tmp_path / "t"),
    ]
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # also where we are deaf to it
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heard) as process:
        first = process.stderr.readline()  # it has begun
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert "%  " in first
    assert process.returncode == 130
    assert "Stopped." in rest and "Traceback" not in rest
    assert list(tmp_path.iterdir()) == []
