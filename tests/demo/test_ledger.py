"""Times by stage: parts of a stopped stage add up, and a stage done anew counts once."""

import time

import pytest

from interp.demo.ledger import Ledger


def work(path, name, seconds, error=None):
    with Ledger(path).stage(name):
        time.sleep(seconds)
        if error is not None:
            raise error


def test_a_stopped_stage_has_the_sum_of_its_parts(tmp_path):
    path = tmp_path / "times.json"
    with pytest.raises(KeyboardInterrupt):
        work(path, "training", 0.06, KeyboardInterrupt())
    assert Ledger(path).done == {}
    work(path, "training", 0.06)
    assert Ledger(path).done["training"] >= 0.12


def test_a_stage_done_anew_counts_once(tmp_path):
    path = tmp_path / "times.json"
    work(path, "report", 0.2)
    work(path, "report", 0.0)
    assert Ledger(path).done["report"] < 0.2


def test_the_table_ends_with_the_sum(tmp_path):
    ledger = Ledger(tmp_path / "times.json")
    ledger.done = {"corpus": 1.0, "training": 2.5}
    assert ledger.table()[-1].split() == ["together", "3.5", "s"]
