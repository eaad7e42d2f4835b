"""On a world, the loss stands beside the lowest that any model could reach, and comes near it."""

import math
from collections import Counter
from itertools import product

import pytest

from interp.models.tokenizer import Tokenizer
from interp.runs.metrics import read_metrics
from interp.training.data.sources import write_world_corpus
from interp.training.loop.evaluate import held_out_batch
from interp.training.loop.pretrain import train
from interp.worlds import load_world
from interp.worlds.algorithms import Repeats
from tests.training.tiny_run import tiny_config

N_SYMBOLS, LENGTH, PERIODS = 4, 12, (2, 3, 4)
WORLD = Repeats(n_symbols=N_SYMBOLS, length=LENGTH, periods=(min(PERIODS), max(PERIODS)))
"""Its documents are so short that all of them can be told down."""


def beginning_chances():
    """The probability of each beginning that a document of the world can have."""
    chances = Counter()
    for period in PERIODS:
        for block in product(range(N_SYMBOLS), repeat=period):
            document = (block * LENGTH)[:LENGTH]
            for end in range(LENGTH + 1):
                chances[document[:end]] += 1 / len(PERIODS) / N_SYMBOLS**period
    return chances


def reader_nats(symbols, chances):
    """What an exact reader of nothing but a row pays for each token after its first.

    Documents have one length, which it knows: where the next one begins costs it nothing.
    """
    nats, beginning = [], ()
    for symbol in symbols:
        if symbol is None:
            assert len(beginning) in (0, LENGTH), "the row begins in the middle of a document"
            nats.append(0.0)
            beginning = ()
            continue
        nats.append(math.log(chances[beginning] / chances[(*beginning, symbol)]))
        beginning = (*beginning, symbol)
    return nats[1:]


@pytest.mark.parametrize("trained_on", ["window", "document"])
@pytest.mark.parametrize("bos", [True, False])
def test_the_floor_is_what_an_exact_reader_of_the_evaluated_rows_pays(tmp_path, bos, trained_on):
    """Rows from the middle of a document would be charged for a beginning that nobody shows."""
    tokenizer = Tokenizer.words(WORLD.vocabulary).with_bos(bos)
    corpus = write_world_corpus(
        WORLD, tmp_path / "corpus", n_documents=60, n_held_out=40, tokenizer=tokenizer
    )
    recipe = tiny_config(d_vocab=tokenizer.d_vocab, steps=1, eval_tokens=160, rows=trained_on)
    train(recipe, corpus.folder, tmp_path / "run", device="cpu", threads=1)
    record = read_metrics(tmp_path / "run" / "metrics.jsonl", "eval")[-1]
    symbols = {tokenizer.encode(f" {word}")[-1]: i for i, word in enumerate(WORLD.symbols)}
    rows, chances, paid = held_out_batch(corpus, recipe), beginning_chances(), []
    for tokens, weights in zip(rows.tokens.tolist(), rows.weights[:, 1:], strict=True):
        end = 1 + int((weights > 0).sum())
        assert (weights[: end - 1] > 0).all(), "what is left out comes last"
        paid += reader_nats([symbols.get(token) for token in tokens[:end]], chances)
    assert record["tokens"] == len(paid) > 80
    assert record["floor_nats_per_token"] == pytest.approx(sum(paid) / len(paid), abs=1e-6)


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
