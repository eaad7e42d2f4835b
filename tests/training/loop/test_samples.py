"""Texts that a model writes while it learns: they change nothing, and follow the run."""

import pytest

from interp.runs.metrics import read_metrics
from interp.training.loop.pretrain import train
from interp.training.loop.samples import SampleLog
from tests.training.tiny_run import tiny_config, trace


class Eager(SampleLog):
    """Writes whenever it is asked."""

    def __call__(self, model, step):
        self._not_before = 0.0
        super().__call__(model, step)


def test_the_weights_end_as_without_them(corpus, tmp_path):
    config = tiny_config(steps=8)
    train(config, corpus, tmp_path / "alone", device="cpu", threads=1)
    watch = Eager(tmp_path / "samples.jsonl", seed=1)
    model = train(config, corpus, tmp_path / "watched", device="cpu", threads=1, watch=watch)
    assert trace(tmp_path / "watched") == trace(tmp_path / "alone")
    samples = read_metrics(tmp_path / "samples.jsonl", "sample")
    assert [sample["step"] for sample in samples] == [0, 1, 2, 3, 4, 5, 6, 8]
    assert len({sample["text"] for sample in samples}) > 1
    watch.add(model, 8)
    assert read_metrics(tmp_path / "samples.jsonl") == samples


def test_texts_after_the_step_that_a_run_resumes_from_are_dropped(corpus, tmp_path):
    model = train(tiny_config(steps=1), corpus, tmp_path / "run", device="cpu", threads=1)
    for step in (0, 3, 6):
        Eager(tmp_path / "samples.jsonl").add(model, step)
    Eager(tmp_path / "samples.jsonl")(model, 5)
    steps = [sample["step"] for sample in read_metrics(tmp_path / "samples.jsonl")]
    assert steps == [0, 3, 5]


def test_a_slow_model_writes_less_often(corpus, tmp_path, monkeypatch):
    model = train(tiny_config(steps=1), corpus, tmp_path / "run", device="cpu", threads=1)
    now = [100.0]
    monkeypatch.setattr("interp.training.loop.samples.time.monotonic", lambda: now[0])
    watch = SampleLog(tmp_path / "samples.jsonl")
    for step in range(1, 21):
        watch(model, step)
        now[0] += 1.0
    steps = [sample["step"] for sample in read_metrics(tmp_path / "samples.jsonl")]
    assert steps == [1, 4, 7, 10, 13, 16, 19]


def test_a_model_without_a_tokenizer_is_left_alone(tmp_path):
    from interp.models.gpt import GPT

    SampleLog(tmp_path / "samples.jsonl").add(GPT(tiny_config().model), 3)
    assert not (tmp_path / "samples.jsonl").exists()


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_model_writes_the_same(corpus, tmp_path, seed):
    model = train(tiny_config(steps=1), corpus, tmp_path / "run", device="cpu", threads=1)
    for file in ("a", "b"):
        SampleLog(tmp_path / file, seed=seed).add(model, 1)
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()
