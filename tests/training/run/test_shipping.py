"""A shipped folder opens to the run's own weights, checkpoints included, and carries no baggage."""

import json

import pytest
import torch

from interp.core.errors import CheckpointError
from interp.models.io.load import load_model
from interp.models.io.presets import get_preset
from interp.training.data.sources import write_world_corpus
from interp.training.loop.pretrain import train
from interp.training.recipe.config import TrainConfig
from interp.training.run.shipping import ship_run
from interp.worlds import load_world


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    corpus = write_world_corpus(
        load_world("mess3"), folder / "corpus", n_documents=50, n_held_out=50
    )
    shape = get_preset("attn-only-1l", d_vocab=corpus.tokenizer.d_vocab, n_ctx=16)
    config = TrainConfig(model=shape, steps=4, batch_size=4, context=8, eval_tokens=64)
    train(config, corpus.folder, folder / "run")
    return folder / "run"


def test_it_opens_to_the_same_weights_and_keeps_what_was_asked(run, tmp_path):
    ship_run(run, tmp_path / "small", checkpoints=(0, 2), card="# small\n", measures={"a": 1})
    shipped = load_model(tmp_path / "small")
    assert shipped.hash == load_model(run).hash
    assert sorted(p.name for p in (tmp_path / "small").iterdir()) == sorted(
        [
            "README.md",
            "card.json",
            "checkpoints",
            "config.json",
            "metrics.jsonl",
            "model.safetensors",
            "run.json",
            "tokenizer.json",
        ]
    )
    assert json.loads((tmp_path / "small/card.json").read_text()) == {"a": 1}
    early, exact = load_model(tmp_path / "small", step=2), load_model(run, step=2)
    for name, weights in early.named_parameters():
        torch.testing.assert_close(weights, exact.get_parameter(name), rtol=2**-8, atol=1e-6)


def test_a_checkpoint_that_the_run_lacks_is_named_and_nothing_is_written(run, tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint of step 3; it has 0, 1, 2, 4"):
        ship_run(run, tmp_path / "small", checkpoints=(3,))
    assert not (tmp_path / "small").exists()
