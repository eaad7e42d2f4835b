"""On a world, the loss stands beside the lowest that any model could reach, and comes near it."""

import pytest

from interp.runs.metrics import read_metrics
from interp.training.data.sources import write_world_corpus
from interp.training.loop.pretrain import train
from interp.worlds import load_world
from tests.training.tiny_run import tiny_config


@pytest.mark.slow
def test_the_loss_comes_down_to_the_floor_of_a_process(tmp_path):
    """Mess3 costs a model little more than its floor once it has learned to look back."""
    corpus = write_world_corpus(
        load_world("mess3"), tmp_path / "corpus", n_documents=300, n_held_out=60
    )
    recipe = tiny_config(
        d_vocab=corpus.tokenizer.d_vocab,
        dropout=0.0,
        rows="document",
        steps=120,
        batch_size=32,
        accumulate=1,
        eval_every=40,
        eval_tokens=2_048,
    )
    train(recipe, corpus.folder, tmp_path / "run", device="cpu")
    evaluations = read_metrics(tmp_path / "run" / "metrics.jsonl", "eval")
    regrets = [record["regret_nats_per_token"] for record in evaluations]
    assert regrets[0] > 0.5
    assert -0.02 < regrets[-1] < 0.15
    for record in evaluations:
        loss, floor = record["loss_nats_per_token"], record["floor_nats_per_token"]
        assert record["regret_nats_per_token"] == pytest.approx(loss - floor)
