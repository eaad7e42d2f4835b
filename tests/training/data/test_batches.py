"""The batch is a pure function of (seed, step), whatever the number of processes."""

import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.core.errors import ConfigError, NotEnoughDataError
from interp.models.tokenizer import Tokenizer
from interp.training.data.batches import Batches, fixed_batch
from interp.training.data.corpus import Corpus, write_manifest
from interp.training.data.curriculum import Stage
from interp.training.data.packing import CorpusDocument, pack

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TOKENIZER = Tokenizer.words([f"{word} {word}" for word in WORDS])


def story(rng: np.random.Generator, words: list[str]) -> CorpusDocument:
    text = " ".join(rng.choice(words, size=rng.integers(3, 12)))
    return CorpusDocument(text=text, weights=((0, 3, 3.0),), floor=((0, 3, 1.5),))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    levels = {"low": WORDS[:5], "high": WORDS[5:]}
    parts = {
        split: {
            level: pack((story(rng, words) for _ in range(n)), TOKENIZER, folder / split / level)
            for level, words in levels.items()
        }
        for split, n in {"train": 400, "held_out": 40}.items()
    }
    write_manifest(folder, TOKENIZER, parts, {"made": "by a test"})
    return Corpus.open(folder)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(-(2**40), 2**70),
    step=st.integers(0, 2**40),
    world_size=st.integers(1, 9),
    batch_size=st.integers(1, 17),
    rows=st.sampled_from(["window", "document"]),
)
def test_ranks_share_the_rows_of_the_single_process(
    corpus, seed, step, world_size, batch_size, rows
):
    def batches() -> Batches:
        return Batches(corpus, batch_size=batch_size, context=20, rows=rows, seed=seed)

    whole, used = batches().batch(step), batches()
    used.batch(step + 1)  # what was drawn before must not matter
    for rank in range(world_size):
        mine = used.batch(step, rank, world_size)
        assert torch.equal(mine.tokens, whole.tokens[rank::world_size])
        assert torch.equal(mine.weights, whole.weights[rank::world_size])
    assert whole.tokens.shape == whole.weights.shape == (batch_size, 21)


def test_seeds_and_steps_give_other_batches(corpus):
    seen = {
        Batches(corpus, batch_size=8, context=20, seed=seed).batch(step).tokens.numpy().tobytes()
        for seed in range(20)
        for step in range(20)
    }
    assert len(seen) == 400


def test_draws_are_uniform_and_independent(corpus):
    batches = Batches(corpus, batch_size=4096, context=1, seed=5)
    part = corpus.part("train", "low")
    from interp.training.data.batches import _uniform

    u = _uniform(5, 0, np.arange(200_000), draw=0)
    v = _uniform(5, 1, np.arange(200_000), draw=0)
    counts = np.histogram(u, 50, (0, 1))[0]
    assert ((counts - 4000) ** 2 / 4000).sum() < 85.4, "chi-squared, 49 degrees, p = 0.001"
    assert abs(np.corrcoef(u, v)[0, 1]) < 0.01
    assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 0.01
    starts = batches._starts(part, np.array([0.0, 1 - 2**-53]))
    assert starts.tolist() == [0, part.n_tokens - 2], "every window can be drawn"


def test_document_rows_begin_a_document_and_go_on_with_the_next(corpus):
    batch = Batches(corpus, batch_size=64, context=40, rows="document").batch(3)
    assert (batch.tokens[:, 0] == TOKENIZER.bos_token_id).all()
    assert ((batch.tokens == TOKENIZER.bos_token_id).sum(1) > 1).all()
    assert batch.weights.unique().tolist() == [1.0, 3.0]
    after_bos = batch.tokens[:, :-1] == TOKENIZER.bos_token_id
    assert (batch.weights[:, 1:][after_bos] == 3.0).all()


def test_stages_mix_their_levels_by_share(corpus):
    stages = [Stage(steps=10, mix={"low": 1.0}), Stage(mix={"low": 1, "high": 3})]
    batches = Batches(corpus, stages, batch_size=2000, context=4, rows="document")
    high = TOKENIZER.encode(" seven", bos=False)[0]
    highs = {i for w in WORDS[5:] for i in TOKENIZER.encode(f"{w} {w}", bos=False)}
    assert high in highs
    share = [np.isin(batches.batch(step).tokens[:, 1], list(highs)).mean() for step in (9, 10, 99)]
    assert share[0] == 0.0
    assert all(abs(s - 0.75) < 0.04 for s in share[1:])


def test_a_level_without_share_is_never_opened(corpus):
    with pytest.raises(ConfigError, match="'mid'"):
        Batches(corpus, [Stage(mix={"mid": 1.0})], batch_size=2, context=4)
    with pytest.raises(NotEnoughDataError, match="Shorten the context"):
        Batches(corpus, batch_size=2, context=10**6)


@pytest.mark.parametrize("rows", ["window", "document"])
def test_the_evaluation_slice_is_fixed_and_spread(corpus, rows):
    first, second = (
        fixed_batch(corpus, n_rows=12, context=16, rows=rows, level="high") for _ in range(2)
    )
    assert torch.equal(first.tokens, second.tokens)
    assert len(first.tokens) <= 12 and len(first.tokens.unique(dim=0)) == len(first.tokens)
    # A window shows not what the floor of its first document rests on.
    known = None if rows == "window" else first.tokens.shape
    assert known == (None if first.floor is None else first.floor.shape)
    assert fixed_batch(corpus, n_rows=10**6, context=16, rows=rows).tokens.shape[1] == 17


def test_an_evaluated_row_counts_no_token_beyond_the_text(corpus):
    """The next token there is the text's first one: it follows nothing, and was counted before."""
    part = corpus.part("held_out", "high")
    rows = fixed_batch(corpus, n_rows=part.n_documents, context=40, rows="document")
    left = part.n_tokens - torch.from_numpy(part.starts.astype(np.int64))
    assert torch.equal(rows.weights > 0, torch.arange(41) < left[:, None])


def test_a_batch_costs_little(corpus):
    batches = Batches(corpus, batch_size=32, context=96, rows="document")
    batches.batch(0)
    start = time.process_time()
    for step in range(100):
        batches.batch(step)
    assert (time.process_time() - start) / 100 < 0.003
