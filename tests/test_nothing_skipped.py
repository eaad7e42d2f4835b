"""Where INTERP_REQUIRE_ALL is set, a skipped browser or reference test fails the run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MARKED = """
import pytest

@pytest.mark.{mark}
def test_needs_something():
    pytest.skip("it is not here")
"""
WHOLE = "import pytest\npytest.importorskip('no_such_module')\n"


def outcome(folder: Path, source: str, *, strict: bool, name: str = "test_it.py") -> int:
    """The exit code of pytest on one file under the repository's own root conftest."""
    (folder / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    browser\n    slow\n")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(source)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("INTERP_", "PYTEST"))}
    environment |= {"INTERP_REQUIRE_ALL": "1"} if strict else {}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True).returncode


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mark", "strict", "code"),
    [("browser", True, 1), ("browser", False, 0), ("slow", True, 0)],
)
def test_a_skip_of_a_marked_test_fails_where_all_are_required(tmp_path, mark, strict, code):
    assert outcome(tmp_path, MARKED.format(mark=mark), strict=strict) == code


@pytest.mark.slow
def test_a_file_of_reference_tests_that_skips_itself_fails_too(tmp_path):
    name = "reference/test_it.py"
    assert outcome(tmp_path, WHOLE, strict=True, name=name) not in (0, 5)
    assert outcome(tmp_path, WHOLE, strict=False, name=name) in (0, 5)
