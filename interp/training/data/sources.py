"""Where a corpus comes from: a simulated world, or the user's own text files."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from interp.core.errors import ConfigError
from interp.core.files import replacing_folder
from interp.models.tokenizer import Tokenizer
from interp.training.data.corpus import Corpus, write_manifest
from interp.training.data.packing import CorpusDocument, pack
from interp.training.data.text_files import (
    HoldoutSplit,
    passed_over,
    text_documents,
    text_files,
)
from interp.training.data.world_documents import world_documents
from interp.worlds.world import World

TokenizerKind = Literal["words", "characters", "bpe"]
_SPLITS = ("train", "held_out")


def write_world_corpus(
    world: World,
    folder: str | Path,
    *,
    n_documents: int | Mapping[str, int] = 4_000,
    n_held_out: int = 500,
    levels: Sequence[str] = (),
    splits: Sequence[str] = _SPLITS,
    tokenizer: Tokenizer | TokenizerKind = "words",
    d_vocab: int = 1024,
    seed: int = 0,
) -> Corpus:
    """Sample a world's documents, and pack them with their floors and weights.

    Args:
        world: world that writes the documents. Its `vocabulary`, if it has one (texts that hold
            every word), is known to the tokenizer besides the words of the documents.
        folder: a new folder, or that of an older corpus, replaced when the new one is whole.
        n_documents: number of training documents of each level: one for all, or one by name.
        n_held_out: number of documents of each level in every other split.
        levels: levels of the world; empty = all of them.
        splits: `train` and any other split that the world knows.
        tokenizer: a tokenizer, or the kind to build.
        d_vocab: size of a `bpe` vocabulary.
        seed: seed of the documents.
    Raises:
        ConfigError: a level or split that the world lacks; `folder` holds something else.
    """
    levels = tuple(levels) or tuple(world.levels)
    counts = n_documents if isinstance(n_documents, Mapping) else dict.fromkeys(levels, n_documents)

    def story_documents(split: str, level: str) -> Iterator[CorpusDocument]:
        n = counts[level] if split == "train" else n_held_out
        numbers = range(seed * 2**32, seed * 2**32 + n)
        return world_documents(world, numbers, level=level, split=split)

    documents = {
        split: {level: story_documents(split, level) for level in levels} for split in splits
    }
    if not isinstance(tokenizer, Tokenizer):
        documents = {s: {k: list(some) for k, some in d.items()} for s, d in documents.items()}
        texts = [d.text for parts in documents.values() for some in parts.values() for d in some]
        texts += list(getattr(world, "vocabulary", ()))
        tokenizer = build_tokenizer(tokenizer, texts, d_vocab)
    source = {"world": world.name, "seed": seed, "documents": dict(counts), "held_out": n_held_out}
    return _write(folder, tokenizer, documents, source)


def write_text_corpus(
    source: str | Path,
    folder: str | Path,
    *,
    tokenizer: Tokenizer | TokenizerKind = "bpe",
    d_vocab: int = 1024,
    held_out: float = 0.1,
    by: Literal["auto", "document", "tail"] = "auto",
    separator: str | None = "<|endoftext|>",
) -> Corpus:
    """Pack the user's own UTF-8 text: a `.txt` or `.jsonl` file, or a folder of them.

    Files are read in chunks, so they may be larger than the memory. A `.txt` file is one
    document, or several where `separator` stands; a line of a `.jsonl` file is one, in its field
    `text`.

    Args:
        source: a file, or a folder that is searched with all its subfolders.
        folder: a new folder, or that of an older corpus, replaced when the new one is whole.
        tokenizer: a tokenizer, or the kind to build: `bpe` learns from the training text
            only; `words` and `characters` must know the held-out text's words as well.
        d_vocab: size of a `bpe` vocabulary.
        held_out: share of the text that is never trained on.
        by: `document` = whole documents, chosen by their number; `tail` = the last characters of
            each file; `auto` = by document where there are at least 20.
        separator: between the documents of a `.txt` file; None = there is none.
    Raises:
        NotEnoughDataError: there is no text.
        TokenError: a file is not UTF-8, or not JSON; says where.
        ConfigError: `folder` holds something else, or a setting is out of range.
    """
    if not 0 < held_out < 1:
        raise ConfigError(f"The held-out share must lie between 0 and 1; got {held_out}.")
    files = text_files(source)
    cut = HoldoutSplit.plan(files, by, held_out, separator)
    if not isinstance(tokenizer, Tokenizer):
        splits = ("train",) if tokenizer == "bpe" else _SPLITS
        texts = (d.text for split in splits for d in text_documents(files, cut, split))
        tokenizer = build_tokenizer(tokenizer, texts, d_vocab)
    seen = {split: array("Q") for split in _SPLITS}
    documents = {
        split: {"full": _counted(text_documents(files, cut, split), seen[split])}
        for split in _SPLITS
    }
    about = {"files": [path.name for path in files], "held_out": held_out, "by": cut.by}

    def remarks() -> list[str]:
        others = passed_over(source) if Path(source).is_dir() else []
        return [text for text in (_repeated(seen), _left_out(others)) if text]

    return _write(folder, tokenizer, documents, about, remarks)


def build_tokenizer(kind: TokenizerKind, texts: Iterable[str], d_vocab: int) -> Tokenizer:
    """A tokenizer of that kind for the texts.

    Raises:
        ConfigError: there is no such kind.
    """
    if kind == "bpe":
        return Tokenizer.bytes_bpe(texts, d_vocab)
    if kind in ("words", "characters"):
        return getattr(Tokenizer, kind)(texts)
    raise ConfigError(f"A tokenizer's kind must be words, characters or bpe; got {kind!r}.")


def _write(
    folder: str | Path,
    tokenizer: Tokenizer,
    documents: Mapping[str, Mapping[str, Iterable[CorpusDocument]]],
    source: Mapping[str, object],
    remarks: Callable[[], Sequence[str]] = tuple,
) -> Corpus:
    folder = Path(folder)
    if folder.exists() and not (folder / "corpus.json").exists() and any(folder.iterdir()):
        raise ConfigError(
            f"A corpus needs a folder of its own; {folder} holds other files. Give another name."
        )
    with replacing_folder(folder) as temporary:
        parts = {
            split: {
                level: pack(some, tokenizer, temporary / split / level)
                for level, some in levels.items()
            }
            for split, levels in documents.items()
        }
        write_manifest(temporary, tokenizer, parts, source, remarks())
    return Corpus.open(folder)


def _counted(documents: Iterable[CorpusDocument], seen: "array[int]") -> Iterator[CorpusDocument]:
    """The documents; eight bytes of each one's hash go to `seen` as it passes."""
    for document in documents:
        digest = blake2b(document.text.strip().encode(), digest_size=8).digest()
        seen.append(int.from_bytes(digest))
        yield document


def _repeated(seen: Mapping[str, "array[int]"]) -> str:
    """A sentence when held-out documents stand in the training text too; else empty."""
    repeated = set(seen["held_out"]).intersection(seen["train"])
    if not repeated:
        return ""
    n, total = sum(digest in repeated for digest in seen["held_out"]), len(seen["held_out"])
    return (
        "Held-out documents that stand in the training text too, letter by letter: "
        f"{n:,} of {total:,}. The held-out loss measures memory there: take repeated documents out."
    )


def _left_out(names: Sequence[str]) -> str:
    """A sentence when files of the folder are no text files by their ending; else empty."""
    listed = ", ".join(names[:5]) + (f" … ({len(names):,} in all)" if len(names) > 5 else "")
    return f"Passed over, since they end neither in .txt nor in .jsonl: {listed}." if names else ""
