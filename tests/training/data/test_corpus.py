"""What was packed comes back: bytes, documents, weights, floors; damage is refused."""

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.core.alignment import choice_nats_per_token
from interp.core.errors import CheckpointError, ConfigError, NotEnoughDataError, TokenError
from interp.models.tokenizer import Tokenizer
from interp.training.data import text_files
from interp.training.data.corpus import Corpus, CorpusPart
from interp.training.data.packing import CorpusDocument, pack
from interp.training.data.sources import write_text_corpus, write_world_corpus
from interp.training.data.text_files import read_documents
from interp.worlds.world import Choice, Story

BPE = Tokenizer.bytes_bpe(["Anna is in the garden. Élodie naps ☃."] * 9, d_vocab=280)


@st.composite
def documents(draw) -> CorpusDocument:
    text = draw(st.text(alphabet="Anna is é☃👩\n", min_size=0, max_size=40))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8, unique=True)))
    spans = list(pairwise(cuts))
    floor = tuple((a, b, draw(st.floats(0, 9, width=16))) for a, b in spans)
    weights = tuple((a, b, draw(st.integers(0, 255)) / 4) for a, b in spans)
    return CorpusDocument(text=text, floor=floor, weights=weights)


@settings(max_examples=80, deadline=None)
@given(docs=st.lists(documents(), min_size=1, max_size=6))
def test_packing_agrees_with_the_slow_way(docs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("part")
    if not any(document.text for document in docs):
        with pytest.raises(NotEnoughDataError):
            pack(docs, BPE, folder)
        return
    part = CorpusPart(folder, pack(docs, BPE, folder))
    assert part.n_documents == len(docs)
    for i, document in enumerate(docs):
        ids, spans = BPE.encode_with_spans(document.text)
        assert part.document(i).tolist() == ids
        at = np.array([int(part.starts[i])])
        expected = choice_nats_per_token(document.text, spans, document.floor)
        np.testing.assert_allclose(part.floor(at, len(ids))[0], expected, rtol=1e-6)
        weights = np.ones(len(ids))
        for start, end, weight in document.weights:
            weights[[low < end and start < high for low, high in spans]] = weight
        np.testing.assert_array_equal(part.weights(at, len(ids))[0], weights)


def test_stopping_is_charged_to_the_next_beginning(tmp_path):
    texts = ["Anna is", "in the", "garden."]
    docs = [
        CorpusDocument(text=t, floor=((0, 4, 1.0), (len(t), len(t), 0.25 * i)))
        for i, t in enumerate(texts, 1)
    ]
    part = CorpusPart(tmp_path, pack(docs, BPE, tmp_path))
    at_start = part.floor(part.starts.astype(np.int64), 1)[:, 0]
    assert at_start.tolist() == [0.0, 0.25, 0.5]


@pytest.mark.parametrize(
    ("docs", "error", "said"),
    [
        ([CorpusDocument(text="a", floor=()), CorpusDocument(text="b")], ConfigError, "floor"),
        ([CorpusDocument(text="a", weights=((0, 1, 64.0),))], ConfigError, "63.75"),
        ([CorpusDocument(text="a", floor=((0, 2, 1.0),))], ConfigError, "within"),
        ([CorpusDocument(text="a", floor=((0, 1, float("nan")),))], ConfigError, "finite"),
        ([], NotEnoughDataError, "at least one"),
    ],
)
def test_bad_documents_are_refused(docs, error, said, tmp_path):
    with pytest.raises(error, match=said):
        pack(docs, BPE, tmp_path)


def write(folder, **files: bytes):
    folder.mkdir()
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_bytes(content)
    return folder


def text_of(corpus: Corpus, split: str) -> str:
    part = corpus.part(split)
    return corpus.tokenizer.decode(part.rows(np.array([0]), part.n_tokens)[0].tolist())


@pytest.mark.parametrize("chunk", [1, 7, 4096])
@pytest.mark.parametrize("kind", ["bpe", "words", "characters"])
def test_a_text_file_comes_back_byte_for_byte(tmp_path, monkeypatch, chunk, kind):
    monkeypatch.setattr(text_files, "_CHUNK_BYTES", chunk)
    monkeypatch.setattr(text_files, "_MOST_CHARACTERS", 200)
    text = "Élodie naps ☃.\r\nAnna  is in\tthe garden.\n\n" * 40
    file = write(tmp_path / "in", a_txt=text.encode()) / "a.txt"
    corpus = write_text_corpus(file, tmp_path / "out", tokenizer=kind, d_vocab=280)
    train, held_out = text_of(corpus, "train"), text_of(corpus, "held_out")
    assert train + held_out == text
    assert abs(len(held_out.encode()) / len(text.encode()) - 0.1) < 0.01
    assert corpus.part("train").n_documents == 1
    assert next(read_documents(file)) == text


def test_many_documents_are_held_out_whole(tmp_path):
    lines = [json.dumps({"text": f"story {i} é"}, ensure_ascii=False) for i in range(200)]
    texts = "<|endoftext|>".join(f"tale {i}." for i in range(50))
    folder = write(
        tmp_path / "in", a_jsonl="\n".join(lines).encode(), b_txt=texts.encode(), c_md=b"\xff"
    )
    corpus = write_text_corpus(folder, tmp_path / "out", d_vocab=300)
    assert corpus.part("held_out").n_documents == 25
    assert corpus.part("train").n_documents == 225
    both = [
        corpus.tokenizer.decode(part.document(i).tolist())
        for part in (corpus.part("train"), corpus.part("held_out"))
        for i in range(part.n_documents)
    ]
    assert sorted(both) == sorted(read_documents(folder))
    assert corpus.source["by"] == "document"


@pytest.mark.parametrize(
    ("name", "content", "error", "said"),
    [
        ("a_txt", b"good text \xff bad", TokenError, r"a\.txt .* byte 10"),
        ("a_txt", b"cut off \xe2\x98", TokenError, "byte 8"),
        ("a_txt", b"", NotEnoughDataError, "text"),
        ("a_txt", b" \n ", NotEnoughDataError, "text"),
        ("a_jsonl", b'{"text": "a"}\n{"text": ', TokenError, r"line 2 \(byte 14\)"),
        ("a_jsonl", b'{"text": "a"}\n{"txt": 1}', TokenError, r"line 2 \(byte 14\)"),
        ("a_jsonl", b'{"text": "a"}\n\xff', TokenError, "byte 14"),
        ("a_jsonl", b"[" * 100_000, TokenError, "line 1"),
        ("a_csv", b"a,b", NotEnoughDataError, r"\.txt"),
    ],
)
def test_bad_files_are_refused_with_their_place(tmp_path, name, content, error, said):
    folder = write(tmp_path / "in", **{name: content})
    with pytest.raises(error, match=said):
        write_text_corpus(folder, tmp_path / "out", d_vocab=300)
    assert not (tmp_path / "out").exists()


def test_other_peoples_folders_are_left_alone(tmp_path):
    file = write(tmp_path / "in", a_txt=b"some text " * 90) / "a.txt"
    with pytest.raises(ConfigError, match="holds other files"):
        write_text_corpus(file, tmp_path / "in")
    assert file.exists()
    with pytest.raises(ConfigError, match="does not exist"):
        write_text_corpus(tmp_path / "nowhere", tmp_path / "out")


@dataclass
class Coins:
    """A world of two words, told with a floor and a weight."""

    name = "coins"
    levels = ("easy", "full")

    def sample(self, seed: int, *, level: str = "full", split: str = "train") -> Story:
        rng = np.random.default_rng([seed, len(split), len(level)])
        words = [" heads" if toss else " tails" for toss in rng.integers(0, 2, size=8)]
        choices = tuple(
            Choice(
                span=(6 * i, 6 * i + 6),
                surprisal_nats=np.log(2),
                entropy_nats=np.log(2),
                kind="toss",
                weight=1.0 + i % 2,
            )
            for i in range(8)
        )
        return Story(text="".join(words), facts=(), choices=choices, level=level, seed=seed)


def test_a_world_is_packed_with_its_floor(tmp_path):
    corpus = write_world_corpus(Coins(), tmp_path / "c", n_documents=30, n_held_out=7)
    assert corpus.splits == {"train": ("easy", "full"), "held_out": ("easy", "full")}
    part = corpus.part("train", "full")
    assert (part.n_documents, part.n_tokens, corpus.tokenizer.d_vocab) == (30, 270, 3)
    start = np.array([0])
    np.testing.assert_allclose(part.floor(start, 9)[0], [0] + [np.log(2)] * 8, rtol=1e-6)
    assert part.weights(start, 9)[0].tolist() == [1, 1, 2, 1, 2, 1, 2, 1, 2]
    again = write_world_corpus(Coins(), tmp_path / "d", n_documents=30, n_held_out=7)
    other = write_world_corpus(Coins(), tmp_path / "c", n_documents=30, n_held_out=7, seed=1)
    assert again.hash == corpus.hash != other.hash
    assert Corpus.open(tmp_path / "c").hash == other.hash, "the older corpus was replaced"
    with pytest.raises(ConfigError, match="'fulll'"):
        corpus.part("train", "fulll")


def test_damage_is_refused(tmp_path):
    write_world_corpus(Coins(), tmp_path / "c", n_documents=30)
    files = [path for path in sorted((tmp_path / "c").rglob("*")) if path.is_file()]
    assert len(files) == 2 + 4 * 4
    for path in files:
        content = path.read_bytes()
        flipped = bytes([content[0] ^ 1]) + content[1:]
        for damaged in (flipped, content[:-2], b""):
            path.write_bytes(damaged)
            with pytest.raises(CheckpointError):
                Corpus.open(tmp_path / "c", verify=True)
        path.unlink()
        with pytest.raises(CheckpointError):
            Corpus.open(tmp_path / "c")
        path.write_bytes(content)
    Corpus.open(tmp_path / "c", verify=True)


def signed_anew(folder, change):
    """Change a corpus' manifest, and sign it as if it had been written so."""
    manifest = json.loads((folder / "corpus.json").read_text())
    change(manifest)
    plain = {key: value for key, value in manifest.items() if key != "hash"}
    signature = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]
    (folder / "corpus.json").write_text(json.dumps(plain | {"hash": signature}))


def test_ids_beyond_the_vocabulary_are_refused_although_the_hashes_are_right(tmp_path):
    (tmp_path / "a.txt").write_text("a cat sat. " * 50)
    corpus = write_text_corpus(tmp_path / "a.txt", tmp_path / "c", tokenizer="words")
    part = corpus.part()
    path = part.folder / "tokens.u16"
    ids = np.array(part.tokens)
    ids[7] = 60_000
    ids.tofile(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    entry = ("parts", "train", "full", "files", "tokens")

    def change(manifest):
        for key in entry:
            manifest = manifest[key]
        manifest["sha256"] = digest

    signed_anew(corpus.folder, change)
    Corpus.open(corpus.folder)
    with pytest.raises(CheckpointError, match=r"must lie below .*; 60000 is among them"):
        Corpus.open(corpus.folder, verify=True)


@pytest.mark.parametrize("value", [None, 1, "x", [], [1], {}, {"train": 1}, {"train": {"full": 1}}])
@pytest.mark.parametrize("name", ["parts", "source", "tokenizer", "format"])
def test_a_signed_manifest_of_any_shape_is_no_crash(tmp_path, name, value):
    (tmp_path / "a.txt").write_text("a cat sat. " * 50)
    folder = write_text_corpus(tmp_path / "a.txt", tmp_path / "c", tokenizer="words").folder
    signed_anew(folder, lambda manifest: manifest.update({name: value}))
    with suppress(CheckpointError, ConfigError):
        Corpus.open(folder, verify=True).n_tokens()
