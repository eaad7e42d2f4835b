"""A training run of a fraction of a second, in this process or in a forked one."""

import json
import multiprocessing
from hashlib import sha256
from pathlib import Path
from random import Random

from interp.models.config import GPTConfig
from interp.training.data.sources import write_text_corpus
from interp.training.loop.pretrain import train
from interp.training.recipe.config import TrainConfig
from interp.training.run.state import newest_state

_TEXT = "the a cat dog bird sat ran slept on in near park mat tree . ,"
_D_VOCAB = 20


def write_tiny_corpus(folder: Path) -> Path:
    """A packed corpus of a few thousand random words."""
    random = Random(0)
    text = " ".join(random.choice(_TEXT.split()) for _ in range(4_000))
    source = folder / "words.txt"
    source.write_text(text)
    write_text_corpus(source, folder / "corpus", tokenizer="words")
    return folder / "corpus"


def tiny_config(**changes: object) -> TrainConfig:
    """A recipe with everything on that could spoil a resume: dropout, accumulation, clipping."""
    d_vocab = changes.pop("d_vocab", _D_VOCAB)
    sizes = {"n_layers": 1, "d_model": 16, "n_heads": 2, "n_ctx": 16, "tied": False}
    model = GPTConfig(**sizes, d_vocab=d_vocab, dropout=changes.pop("dropout", 0.1))
    values = {
        "model": model,
        "steps": 40,
        "batch_size": 8,
        "context": 16,
        "accumulate": 2,
        "grad_clip": 1.0,
        "eval_every": 10,
        "eval_tokens": 256,
        "checkpoint_every": 5,
        "log_every": 3,
        "momentum_warmup_steps": 20,
    }
    return TrainConfig(**(values | changes))


def trace(run: Path) -> tuple[str, list[dict]]:
    """What two equal runs have in common: the hash of the last state, and all losses."""
    state, _ = newest_state(run / "states")
    digest = sha256()
    for tensors in (state.model, state.optimizer):
        for name in sorted(tensors):
            digest.update(name.encode() + tensors[name].numpy().tobytes())
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return digest.hexdigest(), [r for r in records if r["kind"] != "speed"]


def train_in_a_child(config: TrainConfig, corpus: Path, run: Path, **options: object):
    """A process that trains, forked from a server which has torch loaded; not started yet."""
    context = multiprocessing.get_context("forkserver")
    # The optimizers import torch._dynamo, which takes longer than such a run.
    context.set_forkserver_preload(["interp.training.loop.pretrain", "torch._dynamo"])
    return context.Process(target=_child, args=(config, corpus, run), kwargs=options)


def _child(config: TrainConfig, corpus: Path, run: Path, **options: object) -> None:
    train(config, corpus, run, device="cpu", threads=1, **options)
