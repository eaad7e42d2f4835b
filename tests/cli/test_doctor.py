"""`interp doctor` says what works, and what to do about what does not."""

import pytest
from click.testing import CliRunner

from interp.cli.commands import doctor


@pytest.mark.slow
def test_every_line_is_ok_or_says_what_to_do():
    result = CliRunner().invoke(doctor.command)
    lines = result.output.splitlines()
    assert result.exit_code == 0, result.output
    assert {line.split()[0] for line in lines} <= {"ok", "missing"}
    assert all(";" in line for line in lines if line.startswith("missing"))


def test_a_needed_thing_that_is_missing_fails(monkeypatch):
    broken = doctor.Check(name="disk", ok=False, detail="none", advice="make room")
    monkeypatch.setattr(doctor, "checks", lambda: iter([broken]))
    result = CliRunner().invoke(doctor.command)
    assert result.exit_code == 1
    assert result.output == "missing  disk             none; make room\n"


def test_free_memory_is_a_plausible_number_of_bytes():
    assert 2**20 < doctor.free_memory_bytes() < 2**50
