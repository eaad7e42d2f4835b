"""In what order files are tested; with INTERP_REQUIRE_ALL, what may not be skipped."""

import os
from collections.abc import Generator

import pytest

REQUIRED = {"browser", "reference"}
LONG = {"browser", "slow"}
IS_STRICT = bool(os.environ.get("INTERP_REQUIRE_ALL"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with long tests come first, so that at the end no worker waits for the other."""
    long = {item.path for item in items if LONG & {mark.name for mark in item.iter_markers()}}
    items.sort(key=lambda item: item.path not in long)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skipped test with one of the marks counts as failed."""
    report = yield
    marks = {mark.name for mark in item.iter_markers()}
    if IS_STRICT and report.skipped and marks & REQUIRED and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} must not be skipped here: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A whole file that skips itself (a missing module) counts as failed where it may hold such."""
    report = yield
    if IS_STRICT and report.skipped and REQUIRED & set(collector.path.parts):
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} must not be skipped here: {report.longrepr}"
    return report
