"""Sorting a corpus moves whole documents with all that is known of them, and loses none."""

from collections import Counter

import numpy as np
import pytest

from interp.core.errors import ConfigError, NotEnoughDataError, TokenError
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.tokenizer import Tokenizer
from interp.training.data.corpus import Corpus, write_manifest
from interp.training.data.ordering import (
    chance,
    difficulty_by_name,
    gap,
    length,
    level_names,
    loss,
    world_gap,
    write_ordered_corpus,
)
from interp.training.data.packing import CorpusDocument, pack
from interp.worlds import load_world

WORDS = ["one", "two", "three", "four", "five", "six"]
TOKENIZER = Tokenizer.words([f"{word} {word}" for word in WORDS])


def document(rng: np.random.Generator, n: int) -> CorpusDocument:
    text = " ".join(rng.choice(WORDS, size=n))
    end = len(text)
    return CorpusDocument(
        text=text,
        weights=((0, 3, 3.0),),
        floor=((0, 3, float(n)), (end, end, n / 100)),
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    sizes = {"train": 40, "held_out": 12}
    parts = {
        split: {
            level: pack((document(rng, int(rng.integers(2, 20))) for _ in range(n)), TOKENIZER,
                        folder / split / level)
            for level in ("one", "two")
        }
        for split, n in sizes.items()
    }  # fmt: skip
    write_manifest(folder, TOKENIZER, parts, {"made": "by a test"})
    return Corpus.open(folder)


def documents(corpus: Corpus, split: str) -> dict[str, list[tuple[int, ...]]]:
    return {
        level: [tuple(part.document(i).tolist()) for i in range(part.n_documents)]
        for level in corpus.levels(split)
        for part in [corpus.part(split, level)]
    }


def everything(corpus: Corpus, split: str) -> Counter:
    return Counter(row for rows in documents(corpus, split).values() for row in rows)


def test_levels_are_sorted_and_of_equal_size(corpus, tmp_path):
    ordered = write_ordered_corpus(corpus, tmp_path / "new", length, n_levels=4)
    assert ordered.levels() == ordered.levels("held_out") == level_names(4)
    assert ordered.source["order"] == {"by": "length", "levels": 4, "of": corpus.hash}
    Corpus.open(ordered.folder, verify=True)
    for split in ("train", "held_out"):
        rows = documents(ordered, split)
        assert [len(some) for some in rows.values()] == [sum(map(len, rows.values())) // 4] * 4
        sizes = [len(row) for some in rows.values() for row in some]
        assert sizes == sorted(sizes)


@pytest.mark.parametrize("difficulty", [length, chance(0), chance(1)])
def test_the_same_documents_are_there_whatever_the_order(corpus, difficulty, tmp_path):
    ordered = write_ordered_corpus(corpus, tmp_path / "new", difficulty, n_levels=3)
    for split in corpus.splits:
        assert everything(ordered, split) == everything(corpus, split)
        assert sum(ordered.n_tokens(split).values()) == sum(corpus.n_tokens(split).values())


def test_chance_deals_by_its_seed(corpus, tmp_path):
    first, again, other = (
        write_ordered_corpus(corpus, tmp_path / f"{i}", chance(seed), n_levels=2)
        for i, seed in enumerate((0, 0, 1))
    )
    assert first.hash == again.hash != other.hash
    mean = [np.mean([len(row) for row in rows]) for rows in documents(first, "train").values()]
    assert abs(mean[0] - mean[1]) < 4, "no level is the long one"


def test_weights_and_floors_go_with_their_tokens(corpus, tmp_path):
    ordered = write_ordered_corpus(corpus, tmp_path / "new", length, n_levels=2)
    for level in ordered.levels():
        part = ordered.part("train", level)
        size = np.diff(np.append(part.starts, part.n_tokens)).astype(int) - 1
        arrays, starts = part.arrays(), part.starts.astype(int)
        assert (arrays["weights"][starts + 1] == 12).all(), "the first word counts three times"
        assert arrays["floor"][starts + 1] == pytest.approx(size.astype(float))
        before = size[:-1] / 100  # what it cost to stop stands at the next document's first token
        known = arrays["floor"][starts][1:]
        missing = ~np.isclose(known, before)
        assert missing.sum() <= 2 and (known[missing] == 0).all(), "a level's last stop is unknown"


def test_the_gap_is_counted_from_the_last_owner(tmp_path):
    words = ["Anna is in the garden .", "Anna garden .", "the garden .", "Anna Ben is in garden ."]
    tokenizer = Tokenizer.words([f" {text}" for text in words] * 2)

    texts = [CorpusDocument(text=f" {text}") for text in words]
    parts = {"train": {"full": pack(texts, tokenizer, tmp_path / "train" / "full")}}
    write_manifest(tmp_path, tokenizer, parts, {"made": "by a test"})
    corpus = Corpus.open(tmp_path)
    gaps = gap(["Anna", "Ben"], ["garden"])(corpus, corpus.part())
    assert gaps.tolist() == [3.0, 0.0, 0.0, 2.0]


def test_the_gap_of_a_world_grows_with_its_levels(tmp_path):
    from interp.training.data.sources import write_world_corpus

    world = load_world("homes")
    corpus = write_world_corpus(world, tmp_path / "c", n_documents=12, n_held_out=4)
    difficulty = world_gap(world)
    means = [difficulty(corpus, corpus.part("train", level)) for level in world.levels]
    assert [mean.tolist() for mean in means] == [[float(i)] * 12 for i in range(4)]
    ordered = write_ordered_corpus(corpus, tmp_path / "new", difficulty, n_levels=4)
    for level, old in zip(ordered.levels(), world.levels, strict=True):
        assert Counter(documents(ordered, "train")[level]) == Counter(
            documents(corpus, "train")[old]
        )


def test_a_models_loss_is_that_of_each_document_alone(corpus):
    cfg = GPTConfig(n_layers=1, d_model=16, n_heads=2, n_ctx=12, d_vocab=TOKENIZER.d_vocab)
    model = GPT(cfg, TOKENIZER, seed=0)
    part = corpus.part("held_out", "one")
    losses = loss(model)(corpus, part)
    for i in (0, 5, 11):
        ids = part.document(i)[:12]
        logits = model.run(ids.tolist()).logits[0, :-1].log_softmax(-1)
        alone = -logits[range(len(ids) - 1), ids[1:].tolist()].mean()
        assert losses[i] == pytest.approx(float(alone), rel=1e-4)


def test_what_cannot_be_sorted_is_refused(corpus, tmp_path):
    with pytest.raises(NotEnoughDataError, match="the held_out split has 24"):
        write_ordered_corpus(corpus, tmp_path / "a", length, n_levels=30)
    with pytest.raises(ConfigError, match="two levels"):
        write_ordered_corpus(corpus, tmp_path / "a", length, n_levels=1)
    with pytest.raises(ConfigError, match="not empty"):
        write_ordered_corpus(corpus, corpus.folder, length)
    with pytest.raises(NotEnoughDataError, match="about nobody"):
        world_gap(load_world("rrxor"))
    with pytest.raises(ConfigError, match="`chance`; got 'lenght'"):
        difficulty_by_name("lenght")
    cfg = GPTConfig(n_layers=1, d_model=16, n_heads=2, n_ctx=12, d_vocab=8)
    stranger = GPT(cfg, Tokenizer.words(["a b"]), seed=0)
    with pytest.raises(TokenError, match="share its tokenizer"):
        loss(stranger)(corpus, corpus.part("held_out", "one"))
