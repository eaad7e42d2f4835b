"""Verdicts are given where there is nothing as seldom as promised (docs/calibration.md)."""

import re
from pathlib import Path

import pytest

from benchmarks.calibration import VERDICTS, Verdict, rates

TABLE = (Path(__file__).parents[1] / "docs" / "calibration.md").read_text(encoding="utf-8")
N = {
    "scaling_law": 2, "emergence": 4, "heads": 12, "concept": 20, "steering": 20, "state_edit": 20,
    "probe": 10, "regression_probe": 10, "state_decoding": 10,
}  # fmt: skip
"""Situations that are made of each instrument's; more where a promise must be seen not to hold."""
NOT_KEPT = {
    "scaling_law": 20,
    "component_scaling": 150,
    "tuned_lens": 400,
    "steering": 100,
}


def named(entry: Verdict) -> str:
    return f"{entry.instrument}: {entry.situation}"


@pytest.mark.parametrize("entry", VERDICTS, ids=named)
def test_false_alarms_are_as_rare_as_promised(entry):
    """On a small sample: its exact interval must leave the promise possible."""
    n = N.get(entry.instrument, 30)
    if not entry.is_kept:
        n = max(n, NOT_KEPT.get(entry.instrument, 0))
    false, right = rates(entry, n / entry.n)
    assert (false.low <= entry.promised) == entry.is_kept, false
    if right and "no verdict" not in entry.situation:
        assert right.value > max(0.25, false.value), "what is planted is found"


@pytest.mark.parametrize("entry", VERDICTS, ids=named)
def test_the_page_has_a_row_of_every_situation_whose_interval_holds_the_promise(entry):
    rows = [[cell.strip() for cell in line.split("|")] for line in TABLE.splitlines()]
    place = [f"{entry.instrument}: {entry.claim}", entry.situation]
    (row,) = [row for row in rows if row[1:3] == place]
    low = float(re.search(r"\[([\d.]+)%, ", row[4])[1])
    assert (low <= 100 * entry.promised) == entry.is_kept
    assert int(row[6]) == entry.n
