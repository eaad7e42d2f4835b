"""Every example runs as it stands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
PNG = b"\x89PNG"


@pytest.mark.slow
@pytest.mark.browser
def test_the_readme_picture_is_a_photograph_of_a_report(tmp_path):
    command = [sys.executable, str(ROOT / "examples" / "readme_picture.py"), "report.png"]
    subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, check=True, timeout=600)
    picture = (tmp_path / "report.png").read_bytes()
    assert picture.startswith(PNG) and len(picture) > 50_000
