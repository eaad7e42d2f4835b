"""Packed corpora: token ids in memory-mapped arrays, in parts by split and level."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from interp.core.errors import CheckpointError, ConfigError, NotEnoughDataError, near_misses
from interp.core.files import inside, read_object, regular_file, sha256_file, write_json
from interp.models.tokenizer import Tokenizer
from interp.training.data.packing import DTYPES, WEIGHT_UNITS

FORMAT = "interp corpus 1"


class Corpus:
    """A folder of packed parts, opened without reading them.

    Attributes:
        folder: folder of the corpus.
        hash: 16 hex digits over the content of every part, and over the tokenizer.
        source: record of where the text came from.
        remarks: what a reader of the held-out loss should know of the text, in sentences.
        splits: the levels of each split, in order.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        self.folder, self._manifest = folder, manifest
        self.hash: str = manifest["hash"]
        self.source: Mapping[str, Any] = manifest["source"]
        self.remarks: tuple[str, ...] = tuple(map(str, manifest.get("remarks", ())))
        self.splits = {split: tuple(levels) for split, levels in manifest["parts"].items()}

    @classmethod
    def open(cls, folder: str | Path, *, verify: bool = False) -> "Corpus":
        """Open the corpus of a folder; `verify` reads every file and checks its SHA-256.

        Raises:
            CheckpointError: a file is missing or damaged.
        """
        folder = Path(folder)
        try:
            manifest = read_object(folder / "corpus.json")
            if manifest.get("format") != FORMAT or _hash(manifest) != manifest.get("hash"):
                raise ValueError("another hash or format")
            corpus = cls(folder, manifest)
            parts = [
                corpus.part(split, level)
                for split in corpus.splits
                for level in corpus.splits[split]
            ]
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise CheckpointError(
                f"{folder / 'corpus.json'} must be what `write_text_corpus` or "
                f"`write_world_corpus` wrote ({FORMAT}); it was changed. Write the corpus again."
            ) from error
        if corpus.tokenizer.hash != manifest["tokenizer"]:
            raise CheckpointError(
                f"{folder / 'tokenizer.json'} is not the tokenizer that the corpus was packed "
                "with. Write the corpus again."
            )
        for part in parts:
            part.check(corpus.tokenizer.d_vocab if verify else None)
        return corpus

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that gave the ids."""
        return Tokenizer.load(self.folder)

    def part(self, split: str = "train", level: str | None = None) -> "CorpusPart":
        """The part of that split and level; the level may be left out where there is one only.

        Raises:
            ConfigError: the corpus has no such part, or several that fit.
        """
        levels = self.levels(split)
        if level is None and len(levels) == 1:
            level = levels[0]
        if level not in levels:
            raise ConfigError(
                f"The {split} split has the levels {', '.join(levels)}; got {level!r}."
                f"{near_misses(str(level), levels)}"
            )
        return CorpusPart(
            inside(self.folder, f"{split}/{level}"), self._manifest["parts"][split][level]
        )

    def levels(self, split: str = "train") -> tuple[str, ...]:
        """The levels of a split.

        Raises:
            ConfigError: the corpus has no such split.
        """
        if split not in self.splits:
            raise ConfigError(
                f"This corpus has the splits {', '.join(self.splits)}; got {split!r}. "
                "Write it again with that split."
            )
        return self.splits[split]

    def n_tokens(self, split: str = "train") -> dict[str, int]:
        """Tokens of each level of a split."""
        return {level: self.part(split, level).n_tokens for level in self.levels(split)}


class CorpusPart:
    """One split of one level: a stream of tokens, and where its documents start."""

    def __init__(self, folder: Path, entry: Mapping[str, Any]) -> None:
        self.folder, self._entry = folder, entry
        self.n_tokens: int = entry["tokens"]
        self.n_documents: int = entry["documents"]
        self.n_bytes: int = entry["bytes"]
        self.has_floor = "floor" in entry["files"]

    @property
    def tokens(self) -> np.ndarray:
        """Every token id of the part, in order, on the disk."""
        return self._arrays["tokens"]

    @property
    def starts(self) -> np.ndarray:
        """The place of each document's first token in the stream."""
        return self._arrays["starts"]

    def arrays(self) -> dict[str, np.ndarray]:
        """Every array by kind: `tokens`, `starts` and, where known, `weights` and `floor`."""
        return dict(self._arrays)

    def document(self, index: int) -> Int[np.ndarray, "pos"]:
        """The ids of one document, the beginning-of-text token first."""
        start = int(self.starts[index])
        end = int(self.starts[index + 1]) if index + 1 < self.n_documents else self.n_tokens
        return np.asarray(self.tokens[start:end], dtype=np.int64)

    def rows(self, starts: Int[np.ndarray, "batch"], length: int) -> Int[np.ndarray, "batch pos"]:
        """Token ids from each start on; the stream's end is followed by its beginning."""
        return self.tokens[self._places(starts, length)].astype(np.int64)

    def weights(
        self, starts: Int[np.ndarray, "batch"], length: int
    ) -> Float[np.ndarray, "batch pos"]:
        """How much each token of `rows` counts in training."""
        if "weights" not in self._arrays:
            return np.ones((len(starts), length), dtype=np.float32)
        units = self._arrays["weights"][self._places(starts, length)]
        return units.astype(np.float32) / np.float32(WEIGHT_UNITS)

    def floor(
        self, starts: Int[np.ndarray, "batch"], length: int
    ) -> Float[np.ndarray, "batch pos"]:
        """Nats that each token of `rows` costs any model at least, on average.

        Raises:
            NotEnoughDataError: the floor of this text is not known.
        """
        if not self.has_floor:
            raise NotEnoughDataError(
                f"The floor is known for the text of worlds only; {self.folder} is of another "
                "source. Compare with another model instead."
            )
        return self._arrays["floor"][self._places(starts, length)].astype(np.float32)

    def check(self, d_vocab: int | None) -> None:
        """Check that every file has its length and, with the size of a vocabulary, its content.

        Args:
            d_vocab: ids must be below it, and every file have its SHA-256; None = read nothing.
        Raises:
            CheckpointError: a file is missing or damaged.
        """
        for kind, file in self._entry["files"].items():
            path = regular_file(inside(self.folder, file["name"]))
            length = self.n_documents if kind == "starts" else self.n_tokens
            whole = path.stat().st_size == length * np.dtype(DTYPES[path.suffix[1:]]).itemsize
            if not whole or (d_vocab is not None and sha256_file(path) != file["sha256"]):
                raise CheckpointError(
                    f"{path} is not what was written. Write the corpus again, or copy it again."
                )
        if d_vocab is not None and (odd := int(self.tokens.max(initial=0))) >= d_vocab:
            raise CheckpointError(
                f"The token ids of {self.folder} must lie below {d_vocab}, the tokenizer's size; "
                f"{odd} is among them. Write the corpus again."
            )

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        named = {kind: file["name"] for kind, file in self._entry["files"].items()}
        paths = {kind: inside(self.folder, name) for kind, name in named.items()}
        return {kind: np.memmap(p, DTYPES[p.suffix[1:]], "r") for kind, p in paths.items()}

    def _places(self, starts: np.ndarray, length: int) -> np.ndarray:
        places = starts[:, None] + np.arange(length)
        return places if places.size and places.max() < self.n_tokens else places % self.n_tokens


def write_manifest(
    folder: Path,
    tokenizer: Tokenizer,
    parts: Mapping[str, Mapping[str, Mapping[str, Any]]],
    source: Mapping[str, Any],
    remarks: Sequence[str] = (),
) -> None:
    """Write `tokenizer.json` and, last, `corpus.json`: with it the corpus is whole."""
    tokenizer.save(folder)
    manifest = {"format": FORMAT, "tokenizer": tokenizer.hash, "source": source, "parts": parts}
    said = {"remarks": list(remarks)} if remarks else {}
    write_json(folder / "corpus.json", manifest | said | {"hash": _hash(manifest)})


def _hash(manifest: Mapping[str, Any]) -> str:
    # The same text has the same hash, whatever is said of it.
    plain = {key: value for key, value in manifest.items() if key not in ("hash", "remarks")}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]
