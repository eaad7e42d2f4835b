"""On a GPU: the CPU's curve in fp32, a like one in bf16, compiled as well, and exact resume."""

import dataclasses

import pytest
import torch

from interp.runs.metrics import read_metrics
from interp.training.loop.pretrain import train
from tests.training.tiny_run import tiny_config, trace

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
PLAIN = tiny_config(dropout=0.0, precision="fp32", compile=False, steps=20)


def _losses(config, corpus, run, device):
    train(config, corpus, run, device=device)
    records = read_metrics(run / "metrics.jsonl", "train")
    return [record["loss_nats_per_token"] for record in records]


@pytest.mark.parametrize(
    ("changes", "tolerance"),
    [({}, 2e-2), ({"compile": True}, 2e-2), ({"precision": "bf16", "compile": "auto"}, 5e-2)],
)
def test_the_curve_is_that_of_the_cpu(corpus, tmp_path, changes, tolerance):
    """Not closer: Muon works in bf16 on a GPU."""
    expected = _losses(PLAIN, corpus, tmp_path / "cpu", "cpu")
    losses = _losses(dataclasses.replace(PLAIN, **changes), corpus, tmp_path / "gpu", "cuda")
    assert losses == pytest.approx(expected, abs=tolerance)


def test_a_resumed_run_ends_with_the_same_bits(corpus, tmp_path):
    train(dataclasses.replace(PLAIN, decay="constant"), corpus, tmp_path / "a", device="cuda")
    short = dataclasses.replace(PLAIN, decay="constant", steps=10)
    train(short, corpus, tmp_path / "b", device="cuda")
    train(dataclasses.replace(short, steps=20), corpus, tmp_path / "b", device="cuda")
    assert trace(tmp_path / "a")[0] == trace(tmp_path / "b")[0]
