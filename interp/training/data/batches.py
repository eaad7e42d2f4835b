"""The batch of a step: a pure function of the seed and the step, with no loader and no state.

Row `r` of the global batch is sampled by hashing (seed, step, r), so rank k of w holds the rows k,
k + w … of the very batch that a single process would see, and a resumed run goes on where it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.errors import NotEnoughDataError
from interp.training.data.corpus import Corpus, CorpusPart
from interp.training.data.curriculum import Stage, shares, stage_at

RowKind = Literal["window", "document"]
_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows of tokens; all but the first of a row are predicted.

    Attributes:
        tokens: token ids.
        weights: how much each token counts as a prediction.
        floor: nats that each token costs any model at least; None where the floor is not known.
    """

    tokens: Int[Tensor, "batch pos"]
    weights: Float[Tensor, "batch pos"]
    floor: Float[Tensor, "batch pos"] | None = None


class Batches:
    """Every batch of a run.

    Args:
        corpus: the corpus whose `split` gives the rows.
        stages: the curriculum: which levels are mixed at a step. Empty = all, by number of tokens.
        batch_size: rows of the global batch.
        context: predicted tokens a row; rows hold one more.
        rows: `window` = anywhere in the stream, `document` = from a document's start on; what
            follows the document's end is the next one, and counts as well.
        seed: seed of every random choice.
        split: split of the corpus that gives the rows.
    Raises:
        ConfigError: a stage names a level that the corpus lacks.
        NotEnoughDataError: a level is shorter than a row.
    """

    def __init__(
        self,
        corpus: Corpus,
        stages: Sequence[Stage] = (),
        *,
        batch_size: int,
        context: int,
        rows: RowKind = "window",
        seed: int = 0,
        split: str = "train",
    ) -> None:
        self.stages = tuple(stages) or (Stage(),)
        self.batch_size, self.length, self.kind, self.seed = batch_size, context + 1, rows, seed
        self._parts = {level: corpus.part(split, level) for level in corpus.levels(split)}
        n_tokens = corpus.n_tokens(split)
        self._mixtures = [shares(stage, n_tokens) for stage in self.stages]
        for level in dict.fromkeys(chain.from_iterable(self._mixtures)):
            _check_length(self._parts[level], level, self.length)

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        """The rows of step `step` (0 = the first update) that rank `rank` trains on."""
        row = np.arange(rank, self.batch_size, world_size)
        mixture = self._mixtures[stage_at(self.stages, step)[0]]
        edges = np.cumsum(list(mixture.values()))[:-1]
        chosen = np.searchsorted(edges, _uniform(self.seed, step, row, draw=0), side="right")
        where = _uniform(self.seed, step, row, draw=1)
        tokens = np.empty((len(row), self.length), dtype=np.int64)
        weights = np.empty((len(row), self.length), dtype=np.float32)
        for i, level in enumerate(mixture):
            mine = chosen == i
            if mine.any():
                part = self._parts[level]
                starts = self._starts(part, where[mine])
                tokens[mine] = part.rows(starts, self.length)
                weights[mine] = part.weights(starts, self.length)
        return Batch(tokens=torch.from_numpy(tokens), weights=torch.from_numpy(weights))

    def _starts(self, part: CorpusPart, where: np.ndarray) -> np.ndarray:
        if self.kind == "document":
            return part.starts[(where * part.n_documents).astype(np.int64)].astype(np.int64)
        return (where * (part.n_tokens - self.length + 1)).astype(np.int64)


def fixed_batch(
    corpus: Corpus,
    *,
    n_rows: int,
    context: int,
    rows: RowKind = "window",
    split: str = "held_out",
    level: str | None = None,
) -> Batch:
    """The same rows whenever it is asked: evenly spread over a part, for evaluation.

    Args:
        corpus: the corpus that the rows are from.
        n_rows: number of rows, or fewer where the part has no more that differ.
        context: predicted tokens a row.
        rows: as in `Batches`. A row that begins at a document stops counting at the stream's end,
            and after its first document where no token says that the next one begins.
        split: split of the corpus.
        level: level of the split; None = its last level.
    Returns:
        The rows, and the floor where it is known of rows that begin at documents: windows do not
        show what the floor of a document's later tokens rests on.
    Raises:
        NotEnoughDataError: the part is shorter than a row.
    """
    level = level or corpus.levels(split)[-1]
    part, length = corpus.part(split, level), context + 1
    _check_length(part, level, length)
    if rows == "document":
        index = np.unique(np.linspace(0, part.n_documents - 1, n_rows).astype(np.int64))
        starts = part.starts[index].astype(np.int64)
    else:
        n_rows = max(1, min(n_rows, part.n_tokens // length))
        starts = np.linspace(0, part.n_tokens - length, n_rows).astype(np.int64)
    weights, floor = part.weights(starts, length), None
    if rows == "document":
        # The stream's end is followed by its beginning, whose floor knows nothing of the stop
        # before it. Without a beginning-of-text token that holds for each document.
        ends = np.full(len(starts), part.n_tokens)
        if part.has_floor and corpus.tokenizer.bos_token_id is None:
            ends = np.append(part.starts, part.n_tokens)[index + 1].astype(np.int64)
        weights[np.arange(length) >= (ends - starts)[:, None]] = 0.0
        floor = torch.from_numpy(part.floor(starts, length)) if part.has_floor else None
    return Batch(
        tokens=torch.from_numpy(part.rows(starts, length)),
        weights=torch.from_numpy(weights),
        floor=floor,
    )


def _check_length(part: CorpusPart, level: str, length: int) -> None:
    if part.n_tokens < length:
        raise NotEnoughDataError(
            f"A row needs {length} tokens; the level {level!r} has {part.n_tokens} in "
            f"{part.folder.parent.name}. Shorten the context or give more text."
        )


def _uniform(seed: int, step: int, row: np.ndarray, *, draw: int) -> np.ndarray:
    """Numbers in [0, 1), one a row, that depend on nothing but the arguments.

    Source: the finalizer of SplitMix64 (Steele, Lea and Flood 2014), used to hash a counter.
    """
    state = 0
    for part in (seed, step, draw):
        state = _mix_one((state + part * _GOLDEN + _GOLDEN) & _MASK)
    mixed = _mix(np.uint64(state) + (row.astype(np.uint64) + np.uint64(1)) * np.uint64(_GOLDEN))
    # The upper 53 bits: as many as a double holds exactly, so no two of them round to one number.
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix_one(x: int) -> int:
    return int(_mix(np.array([x], dtype=np.uint64))[0])


def _mix(x: np.ndarray) -> np.ndarray:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
