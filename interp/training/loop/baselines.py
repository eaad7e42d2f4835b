"""What a run's loss is worth: the loss of two models that know nothing of order."""

import math
from pathlib import Path

import numpy as np
from jaxtyping import Float

from interp.core.files import read_object, write_json
from interp.runs.metrics import BASELINES
from interp.training.data.batches import Batch
from interp.training.data.corpus import Corpus, CorpusPart
from interp.training.loop.evaluate import held_out_batch
from interp.training.recipe.config import TrainConfig

_CHUNK_TOKENS = 2**22


def baselines(corpus: Corpus, config: TrainConfig) -> dict[str, float]:
    """The loss of guessing, on the very held-out tokens that the run's evaluations count.

    Args:
        corpus: a corpus with a `train` and a `held_out` split.
        config: the run's recipe: its rows, context and size of the held-out slice.
    Returns:
        `uniform_nats_per_token`, every token as likely as any other, and
        `unigram_nats_per_token`, each as frequent as in the training text of the same level, each
        token counted once more than it occurs there.
    Raises:
        NotEnoughDataError: the held-out text is shorter than a row.
    """
    held_out = held_out_batch(corpus, config)
    d_vocab = corpus.tokenizer.d_vocab
    levels = corpus.levels("train")
    level = corpus.levels("held_out")[-1]
    counts = _counts(corpus.part("train", level if level in levels else levels[-1]), d_vocab)
    return {
        "uniform_nats_per_token": math.log(d_vocab),
        "unigram_nats_per_token": _cross_entropy(held_out, counts),
    }


def write_baselines(run: Path, corpus: Corpus, config: TrainConfig) -> None:
    """Write the baselines into the run's folder, unless those of the same corpus are there."""
    path = run / BASELINES
    if not path.exists() or read_object(path).get("corpus") != corpus.hash:
        write_json(path, {"corpus": corpus.hash, **baselines(corpus, config)})


def _counts(part: CorpusPart, d_vocab: int) -> Float[np.ndarray, "d_vocab"]:
    """How often each token of the part counts as a prediction, and once more."""
    counts = np.ones(d_vocab)
    for start in range(0, part.n_tokens, _CHUNK_TOKENS):
        length, place = min(_CHUNK_TOKENS, part.n_tokens - start), np.array([start])
        counted = part.weights(place, length)[0] > 0
        counts += np.bincount(part.rows(place, length)[0][counted], minlength=d_vocab)
    return counts


def _cross_entropy(rows: Batch, counts: Float[np.ndarray, "d_vocab"]) -> float:
    counted = (rows.weights[:, 1:] > 0).numpy()
    nats = -np.log(counts / counts.sum())
    return float(nats[rows.tokens[:, 1:].numpy()[counted]].mean())
