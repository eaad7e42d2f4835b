"""What guessing costs, against a direct count."""

import math
from collections import Counter

import pytest

from interp.core.files import read_object
from interp.training.data.corpus import Corpus
from interp.training.loop.baselines import baselines, write_baselines
from tests.training.tiny_run import tiny_config


def test_they_are_what_counting_gives(corpus):
    opened, config = Corpus.open(corpus), tiny_config(eval_tokens=2_000)
    losses = baselines(opened, config)
    train, held_out = (opened.part(split).tokens.tolist() for split in ("train", "held_out"))
    counts = Counter(train)
    total = len(train) + opened.tokenizer.d_vocab
    nats = [-math.log((counts[token] + 1) / total) for token in held_out]
    assert losses["uniform_nats_per_token"] == pytest.approx(math.log(opened.tokenizer.d_vocab))
    assert losses["unigram_nats_per_token"] == pytest.approx(sum(nats) / len(nats), rel=0.02)
    assert losses["unigram_nats_per_token"] < losses["uniform_nats_per_token"]


def test_they_are_kept_beside_the_run(corpus, tmp_path):
    opened = Corpus.open(corpus)
    write_baselines(tmp_path, opened, tiny_config())
    kept = read_object(tmp_path / "baselines.json")
    assert kept == {"corpus": opened.hash, **baselines(opened, tiny_config())}
