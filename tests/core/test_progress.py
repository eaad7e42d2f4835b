"""What a listener hears of the progress of a measurement."""

from hypothesis import given
from hypothesis import strategies as st

from interp.core.progress import Progress, listening, progress_range, report_progress

SHARES = st.lists(st.floats(0, 1), max_size=5)


@given(parts=st.lists(SHARES, min_size=1, max_size=5))
def test_a_bar_never_goes_back_and_stays_within_its_part(parts):
    reports: list[Progress] = []
    with listening(reports.append):
        for number, shares in enumerate(parts):
            low, high = number / len(parts), (number + 1) / len(parts)
            before = len(reports)
            with progress_range(low, high, f"part {number}: "):
                for share in shares:
                    report_progress("here", share, 1)
            assert all(low <= each.share <= high + 1e-9 for each in reports[before:])
            assert all(each.stage == f"part {number}: here" for each in reports[before:])
    assert [each.share for each in reports] == sorted(each.share for each in reports)
    assert len(reports) == sum(map(len, parts)), "a stage is told even where its bar waits"
