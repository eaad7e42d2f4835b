"""`metrics.jsonl` survives a crash and is cut back to the step a run resumes from."""

from interp.runs.metrics import read_metrics
from interp.training.loop.metrics import MetricsLog


def _train(step):
    return {"kind": "train", "step": step, "loss_nats_per_token": 1.0 / step}


def test_records_come_back_in_order_and_by_kind(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl")
    log.append([_train(1), _train(2)])
    log.append([])
    log.append([{"kind": "eval", "step": 2, "loss_nats_per_token": 0.5}])
    assert [r["step"] for r in read_metrics(log.path)] == [1, 2, 2]
    assert [r["step"] for r in read_metrics(log.path, "eval")] == [2]


def test_a_half_written_line_is_passed_over_and_cut_away(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl")
    log.append(_train(step) for step in range(1, 6))
    whole = log.path.read_bytes()
    for cut in range(len(whole)):
        log.path.write_bytes(whole[:cut])
        steps = [r["step"] for r in read_metrics(log.path)]
        assert steps == list(range(1, len(steps) + 1))
    log.cut_back(3)
    log.append([_train(4)])
    assert [r["step"] for r in read_metrics(log.path)] == [1, 2, 3, 4]


def test_cutting_back_to_the_start_empties_the_file(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl")
    log.append([{"kind": "eval", "step": 0}, _train(1)])
    log.cut_back(0)
    assert read_metrics(log.path) == []


def test_writers_see_every_record(tmp_path):
    seen = []
    MetricsLog(tmp_path / "metrics.jsonl", writers=[seen.append]).append([_train(1), _train(2)])
    assert [r["step"] for r in seen] == [1, 2]
