"""Documents to arrays on the disk: token ids, document starts, weights and floors.

Documents stream through in groups, so a corpus may be larger than the memory.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from interp.core.errors import ConfigError, NotEnoughDataError
from interp.core.files import sync
from interp.models.tokenizer import Tokenizer

SpanValues = tuple[tuple[int, int, float], ...]
WEIGHT_UNITS = 4
DTYPES = {"u16": "<u2", "u32": "<u4", "u64": "<u8", "u8": "|u1", "f32": "<f4"}
_GROUP_DOCUMENTS = 1024
_GROUP_CHARACTERS = 2**22
_SPACES = [ord(character) for character in " \n\t\r"]


@dataclass(frozen=True, kw_only=True)
class CorpusDocument:
    """A text, and what is known about its characters.

    Attributes:
        text: text of the document.
        weights: start, end and weight of characters that count otherwise than once in training, in
            quarters from 0 to 63.75. None = all count once.
        floor: start, end and surprisal in nats of each choice in the text; an empty span at the
            text's end is the choice to stop there. None = unknown.
        begins: False when the text goes on with the document before it.
    """

    text: str
    weights: SpanValues | None = None
    floor: SpanValues | None = None
    begins: bool = True


def pack(
    documents: Iterable[CorpusDocument], tokenizer: Tokenizer, folder: str | Path
) -> dict[str, Any]:
    """Write one part of a corpus into `folder`.

    A choice's nats stand at the token that holds its first character that is no space; those of an
    empty span at the end of a text stand at the next document's beginning-of-text token.

    Args:
        documents: the documents, in their order in the corpus; all with a floor, or none.
        tokenizer: tokenizer that gives the ids; the beginning-of-text token begins every document.
        folder: a new or empty folder.
    Returns:
        The part's entry in `corpus.json`: counts, and each file's name and SHA-256.
    Raises:
        TokenError: a text holds a word that the tokenizer does not know.
        ConfigError: some documents have a floor or weights and some have none, or a weight is out
            of range.
        NotEnoughDataError: there is not one token.
    """
    documents = iter(documents)
    first = next(documents, CorpusDocument(text=""))
    counts = {"documents": 0, "tokens": 0, "bytes": 0}
    with ExitStack() as stack:
        paths = _paths(Path(folder), tokenizer, first)
        streams = {path.stem: stack.enter_context(_Stream(path)) for path in paths}
        stopping = 0.0
        for group in _groups(chain([first], documents)):
            arrays, stopping = _arrays(group, tokenizer, stopping, set(streams))
            arrays["starts"] += np.uint64(counts["tokens"])
            counts["tokens"] += len(arrays["tokens"])
            counts["documents"] += len(arrays["starts"])
            counts["bytes"] += sum(len(document.text.encode()) for document in group)
            for name, stream in streams.items():
                stream.write(arrays[name])
    if counts["bytes"] == 0:
        raise NotEnoughDataError(
            "A part of a corpus needs at least one token; its documents are empty. Give it text."
        )
    return counts | {"files": {name: stream.entry() for name, stream in streams.items()}}


class _Stream:
    """A raw array that grows, and its hash."""

    def __init__(self, path: Path) -> None:
        self._path, self._hash = path, hashlib.sha256()
        self._dtype = DTYPES[path.suffix[1:]]
        self._file = path.open("wb")

    def write(self, array: np.ndarray) -> None:
        raw = np.ascontiguousarray(array, dtype=self._dtype).tobytes()
        self._hash.update(raw)
        self._file.write(raw)

    def entry(self) -> dict[str, str]:
        return {"name": self._path.name, "sha256": self._hash.hexdigest()}

    def __enter__(self) -> "_Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        sync(self._path)


def _paths(folder: Path, tokenizer: Tokenizer, first: CorpusDocument) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    names = ["tokens.u16" if tokenizer.d_vocab <= 2**16 else "tokens.u32", "starts.u64"]
    names += ["weights.u8"] * (first.weights is not None)
    names += ["floor.f32"] * (first.floor is not None)
    return [folder / name for name in names]


def _groups(documents: Iterable[CorpusDocument]) -> Iterator[list[CorpusDocument]]:
    documents = iter(documents)
    while group := list(islice(documents, 1)):
        characters = len(group[0].text)
        while characters < _GROUP_CHARACTERS and len(group) < _GROUP_DOCUMENTS:
            more = next(documents, None)
            if more is None:
                break
            group.append(more)
            characters += len(more.text)
        yield group


def _arrays(
    group: Sequence[CorpusDocument], tokenizer: Tokenizer, stopping: float, wanted: set[str]
) -> tuple[dict[str, np.ndarray], float]:
    """The arrays of a group, and the nats of the last document's stopping."""
    _check_alike(group, wanted)
    rows = tokenizer.encode_batch([document.text for document in group])
    skip = 0 if tokenizer.bos_token_id is None else 1
    rows = [row if d.begins else row[skip:] for row, d in zip(rows, group, strict=True)]
    lengths = np.array([len(row) for row in rows])
    ends = np.cumsum(lengths)
    tokens = np.fromiter(chain.from_iterable(rows), np.int64, int(ends[-1]))
    begins = np.array([document.begins for document in group])
    arrays = {"tokens": tokens, "starts": (ends - lengths)[begins].astype(np.uint64)}
    if not {"weights", "floor"} & wanted:
        return arrays, 0.0
    locator = _TokenLocator([document.text for document in group], tokenizer, tokens)
    if "weights" in wanted:
        arrays["weights"] = locator.weight_units([document.weights or () for document in group])
    if "floor" in wanted:
        arrays["floor"], stops = locator.nats_per_token(
            [document.floor or () for document in group]
        )
        # The choice to stop is seen when the next document begins: there, and in the next group.
        stops = np.concatenate([[stopping], stops])
        if skip:
            arrays["floor"][(ends - lengths)[begins]] += stops[:-1][begins]
        stopping = float(stops[-1])
    return arrays, stopping


def _check_alike(group: Sequence[CorpusDocument], wanted: set[str]) -> None:
    for name in ("weights", "floor"):
        if any((getattr(document, name) is not None) != (name in wanted) for document in group):
            raise ConfigError(
                f"Either every document of a part has {name}, or none; here some do. Pack them as "
                "two parts, or give the others empty ones."
            )


class _TokenLocator:
    """Finds the tokens that hold the characters of several texts, for all texts at once."""

    def __init__(self, texts: Sequence[str], tokenizer: Tokenizer, tokens: np.ndarray) -> None:
        self._n_tokens = len(tokens)
        self._bases = np.cumsum([0, *map(len, texts)])
        # Spans count characters, tokens count bytes: the code points say how many bytes of UTF-8
        # each character takes, and running sums of both make any span a search.
        codes = np.frombuffer("".join(texts).encode("utf-32-le"), dtype="<u4")
        sizes = 1 + (codes >= 0x80) + (codes >= 0x800) + (codes >= 0x10000)
        self._first_byte = np.concatenate([[0], np.cumsum(sizes)])
        self._token_ends = np.cumsum(np.array([len(piece) for piece in tokenizer.table])[tokens])
        if self._n_tokens and self._token_ends[-1] != self._first_byte[-1]:
            raise ConfigError(
                "Weights and floors need a tokenizer that keeps every byte of the text; this one "
                "changes it. Train a tokenizer on the corpus (words, characters or bytes_bpe)."
            )
        # The next character that is no space: a minimum that runs from the end.
        visible = np.where(np.isin(codes, _SPACES), len(codes), np.arange(len(codes)))
        self._next_visible = np.minimum.accumulate(visible[::-1])[::-1]

    def nats_per_token(self, marks: Sequence[SpanValues]) -> tuple[np.ndarray, np.ndarray]:
        """Nats per token, and the nats of each text's stopping."""
        document, start, end, nats = self._flat(marks)
        stops = start == end
        stopping = np.bincount(document[stops], nats[stops], minlength=len(marks))
        start, end, nats = start[~stops], end[~stops], nats[~stops]
        visible = self._next_visible[start] if len(start) else start
        place = self._token_at(self._first_byte[np.where(visible < end, visible, start)])
        charged = np.bincount(place, nats, minlength=self._n_tokens).astype(np.float64)
        return charged, stopping

    def weight_units(self, marks: Sequence[SpanValues]) -> np.ndarray:
        """Weight per token in quarters: that of the last mark which touches it."""
        units = np.full(self._n_tokens, WEIGHT_UNITS, dtype=np.uint8)
        _, start, end, weight = self._flat(marks)
        if len(weight) and (weight.min() < 0 or weight.max() >= 256 / WEIGHT_UNITS):
            raise ConfigError(
                f"Weights must lie in 0 … {255 / WEIGHT_UNITS}; got {weight.min()} … "
                f"{weight.max()}. Scale them."
            )
        start, end, weight = (x[start < end] for x in (start, end, weight))
        first = self._token_at(self._first_byte[start])
        last = self._token_at(self._first_byte[end] - 1)
        lengths = last - first + 1
        # Every span's tokens one after the other: a running number that starts anew at each span.
        # Of several values for one token numpy keeps the last, and so the last mark.
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        units[np.repeat(first, lengths) + within] = np.repeat(
            np.rint(weight * WEIGHT_UNITS), lengths
        )
        return units

    def _flat(self, marks: Sequence[SpanValues]) -> tuple[np.ndarray, ...]:
        counts = [len(some) for some in marks]
        document = np.repeat(np.arange(len(marks)), counts)
        flat = np.array(list(chain.from_iterable(marks)), dtype=np.float64).reshape(-1, 3)
        base, limit = self._bases[document], self._bases[document + 1]
        start, end = (base + flat[:, i].astype(np.int64) for i in (0, 1))
        if ((start < base) | (end < start) | (end > limit)).any() or not math.isfinite(flat.sum()):
            raise ConfigError(
                "Weights and floors must lie within their document's characters and be finite; "
                "some are not. Take the spans from the text that is packed."
            )
        return document, start, end, flat[:, 2]

    def _token_at(self, byte: np.ndarray) -> np.ndarray:
        return np.searchsorted(self._token_ends, byte, side="right")
