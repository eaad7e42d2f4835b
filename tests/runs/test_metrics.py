"""What a run wrote of its losses is read as far as it is whole; damage is named when asked for."""

import json

import pytest

from interp.core.errors import CheckpointError
from interp.runs.metrics import BASELINES, METRICS, read_baselines, read_metrics

LINES = [json.dumps({"kind": kind, "step": step}) for step in (1, 2) for kind in ("train", "eval")]


@pytest.fixture
def path(tmp_path):
    (tmp_path / METRICS).write_text("\n".join(LINES) + "\n")
    return tmp_path / METRICS


def test_records_come_by_kind_and_none_where_there_is_no_file(path, tmp_path):
    assert [record["step"] for record in read_metrics(path)] == [1, 1, 2, 2]
    assert [record["step"] for record in read_metrics(path, "eval", whole=True)] == [1, 2]
    assert read_metrics(tmp_path / "none.jsonl", whole=True) == []


@pytest.mark.parametrize(
    "line", ["no json", "[1]", "{}", '{"step": "1"}', '{"step": true}', "[" * 10**5, "", "\ufffd"]
)
def test_a_line_that_is_no_record_is_passed_over_or_named(path, line):
    path.write_text("\n".join([LINES[0], line, *LINES[1:]]))
    assert len(read_metrics(path)) == 4
    with pytest.raises(CheckpointError, match="line 2 is none"):
        read_metrics(path, whole=True)


def test_the_last_line_may_be_half_written(path):
    whole = path.read_bytes()
    for cut in range(len(whole) - 20, len(whole)):
        path.write_bytes(whole[:cut])
        assert len(read_metrics(path, whole=True)) in (3, 4)


def test_what_is_no_file_is_a_sentence(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_metrics(tmp_path)


def test_losses_of_guessing_come_by_name(tmp_path):
    assert read_baselines(tmp_path) == {}
    record = {"corpus": "c0", "uniform_nats_per_token": 5, "unigram_nats_per_token": 3.5}
    (tmp_path / BASELINES).write_text(json.dumps(record))
    assert read_baselines(tmp_path) == {"uniform": 5.0, "unigram": 3.5}
    for wrong in ("x", None, [], True):
        (tmp_path / BASELINES).write_text(json.dumps(record | {"uniform_nats_per_token": wrong}))
        with pytest.raises(CheckpointError, match="uniform"):
            read_baselines(tmp_path)
