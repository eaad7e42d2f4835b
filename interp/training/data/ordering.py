"""A corpus in another order: its documents sorted by a difficulty into levels of equal size."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from interp.core.errors import ConfigError, NotEnoughDataError, TokenError
from interp.core.files import replacing_folder, sha256_file
from interp.core.protocols import LanguageModel
from interp.methods.batches import nats_per_token
from interp.training.data.corpus import Corpus, CorpusPart, write_manifest
from interp.training.data.packing import DTYPES
from interp.worlds import load_world
from interp.worlds.world import World

Difficulty = Callable[[Corpus, CorpusPart], Float[np.ndarray, " document"]]
"""A number for each document of a part; the greater, the harder."""
_PROBED = 40


def length(corpus: Corpus, part: CorpusPart) -> Float[np.ndarray, " document"]:
    """Tokens of each document.

    Args:
        corpus: the corpus that the part belongs to.
        part: the part whose documents are measured.
    """
    return np.diff(np.append(part.starts.astype(np.int64), part.n_tokens)).astype(np.float64)


def gap(owners: Sequence[str], values: Sequence[str]) -> Difficulty:
    """How many tokens stand, on average, between a value and the last owner named before it.

    Args:
        owners: words that have values (names).
        values: words that belong to owners (places).
    Returns:
        A difficulty; documents without any value are the easiest.
    """

    def gap(corpus: Corpus, part: CorpusPart) -> Float[np.ndarray, " document"]:
        tokens = np.asarray(part.tokens, dtype=np.int64)
        places = np.arange(len(tokens))
        owner = np.isin(tokens, _ids(corpus, owners))
        last = np.maximum.accumulate(np.where(owner, places, -1))
        document = np.searchsorted(part.starts.astype(np.int64), places, side="right") - 1
        known = np.isin(tokens, _ids(corpus, values)) & (last >= part.starts[document])
        n = part.n_documents
        total = np.bincount(document[known], (places - last - 1)[known], minlength=n)
        return total / np.maximum(np.bincount(document[known], minlength=n), 1)

    return gap


def world_gap(world: World) -> Difficulty:
    """The gap between a world's owners and values, as its own facts name them.

    Args:
        world: a world whose documents have facts about somebody.
    Raises:
        NotEnoughDataError: its facts are about nobody.
    """
    stories = [world.sample(n, level=world.levels[-1]) for n in range(_PROBED)]
    facts = [fact for story in stories for fact in story.facts if fact.about]
    if not facts:
        raise NotEnoughDataError(
            f"A gap stands between an owner and its value; the facts of the world {world.name!r} "
            "are about nobody. Sort by length or by a model's loss."
        )
    owners = sorted({fact.about for fact in facts})
    texts = [*(story.text for story in stories), *getattr(world, "vocabulary", ())]
    said = {word for text in texts for word in re.findall(r"\w+", text)} - set(owners)
    values = {v for fact in facts for v in world.variables.get(fact.variable, ())} & said
    return gap(owners, sorted(values))


def loss(model: LanguageModel) -> Difficulty:
    """What each document costs a (small) model, in nats per token, up to its context.

    Args:
        model: a model with the corpus' tokenizer.
    Returns:
        A difficulty.
    """

    def loss(corpus: Corpus, part: CorpusPart) -> Float[np.ndarray, " document"]:
        if model.tokenizer.hash != corpus.tokenizer.hash:
            raise TokenError(
                f"To judge a corpus a model must share its tokenizer; {model.name} has another "
                f"one than {corpus.folder.name}. Train a small model on this corpus first."
            )
        rows = [part.document(i)[: model.cfg.n_ctx].tolist() for i in range(part.n_documents)]
        # Of a document of one token nothing is predicted: it costs nothing.
        nats = [row.double().sum() / max(len(row), 1) for row in nats_per_token(model, rows)]
        return torch.stack(nats).numpy()

    return loss


def chance(seed: int) -> Difficulty:
    """No difficulty at all: the control that deals the same documents into levels by lot."""

    def chance(corpus: Corpus, part: CorpusPart) -> Float[np.ndarray, " document"]:
        return np.random.default_rng([seed, part.n_documents]).random(part.n_documents)

    return chance


def difficulty_by_name(name: str, world_name: str | None = None) -> Difficulty:
    """A difficulty by its name on the command line.

    Args:
        name: `length`, `gap` (of a world), `chance`, or `loss:MODEL`.
        world_name: name of the world that wrote the text; None for other text.
    Raises:
        ConfigError: none of them, or the gap of text that no world wrote.
    """
    kind, _, of = name.partition(":")
    if kind == "loss" and of:
        from interp.models.io.load import load_model

        return loss(load_model(of))
    if kind == "gap" and world_name:
        return world_gap(load_world(world_name))
    if kind in ("length", "chance"):
        return length if kind == "length" else chance(int(of or 0))
    raise ConfigError(
        "Documents are sorted by `length`, `gap` (only of a world's text), `loss:MODEL` or "
        f"`chance`; got {name!r}."
    )


def write_ordered_corpus(
    corpus: Corpus,
    folder: str | Path,
    difficulty: Difficulty,
    *,
    n_levels: int = 4,
    label: str = "",
) -> Corpus:
    """A corpus of the same documents whose levels are quantiles of a difficulty.

    The documents of all old levels are pooled, sorted and cut into bins with (almost) equally many
    documents; held-out ones apart, by their own ranks. Weights and floors go with their tokens.

    Args:
        corpus: the corpus whose documents are sorted.
        folder: a new or empty folder.
        difficulty: `length`, `gap(…)`, `world_gap(…)`, `loss(…)` or `chance(…)`.
        n_levels: number of levels.
        label: name of the order in the corpus' record; the difficulty's own name if empty.
    Returns:
        The corpus, with the levels `bin-1` (the easiest) to `bin-n`.
    Raises:
        NotEnoughDataError: a split has fewer documents than there are levels.
        ConfigError: fewer than two levels, or `folder` holds something else.
    """
    folder = Path(folder)
    if n_levels < 2:
        raise ConfigError(f"An order needs two levels or more; got n_levels = {n_levels}.")
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"A corpus needs a folder of its own; {folder} is not empty.")
    with replacing_folder(folder) as temporary:
        parts = {}
        for split in corpus.splits:
            pool = _Pool(corpus, split)
            bins = _bins(pool.difficulty(difficulty), n_levels, split)
            parts[split] = {
                name: pool.write(chosen, temporary / split / name)
                for name, chosen in zip(level_names(n_levels), bins, strict=True)
            }
        order = {"by": label or difficulty.__name__, "levels": n_levels, "of": corpus.hash}
        source = {**corpus.source, "order": order}
        write_manifest(temporary, corpus.tokenizer, parts, source, corpus.remarks)
    return Corpus.open(folder)


def level_names(n_levels: int) -> tuple[str, ...]:
    """The levels of a sorted corpus, easiest first.

    Example:
        >>> level_names(2)
        ('bin-1', 'bin-2')
    """
    return tuple(f"bin-{i + 1}" for i in range(n_levels))


class _Pool:
    """All documents of a split, whatever their level."""

    def __init__(self, corpus: Corpus, split: str) -> None:
        self._corpus = corpus
        self._parts = [corpus.part(split, level) for level in corpus.levels(split)]
        arrays = [part.arrays() for part in self._parts]
        if any(set(each) != set(arrays[0]) for each in arrays):
            raise ConfigError(
                "Levels can be pooled if all of them have weights and floors, or none; in "
                f"{corpus.folder} some have. Write the corpus from one source."
            )
        offsets = np.cumsum([0, *(part.n_tokens for part in self._parts)])
        self._starts = np.concatenate(
            [
                each.pop("starts").astype(np.int64) + o
                for each, o in zip(arrays, offsets, strict=False)
            ]
        )
        self._ends = np.append(self._starts[1:], offsets[-1])
        self._arrays = {kind: np.concatenate([each[kind] for each in arrays]) for kind in arrays[0]}
        self._offsets = offsets

    def difficulty(self, difficulty: Difficulty) -> Float[np.ndarray, " document"]:
        """Of every document, in the order of the levels."""
        return np.concatenate([difficulty(self._corpus, part) for part in self._parts])

    def write(self, chosen: Int[np.ndarray, " document"], folder: Path) -> dict[str, Any]:
        """Write these documents, in this order, as a part; gives its entry in the manifest."""
        folder.mkdir(parents=True)
        spans = zip(self._starts[chosen], self._ends[chosen], strict=True)
        places = np.concatenate([np.arange(start, end) for start, end in spans])
        arrays = {kind: array[places] for kind, array in self._arrays.items()}
        lengths = self._ends[chosen] - self._starts[chosen]
        arrays["starts"] = (np.cumsum(lengths) - lengths).astype(np.uint64)
        if "floor" in arrays and self._corpus.tokenizer.bos_token_id is not None:
            arrays["floor"][arrays["starts"].astype(np.int64)] = self._stops(chosen)
        bytes_of = np.array([len(piece) for piece in self._corpus.tokenizer.table])
        return {
            "documents": len(chosen),
            "tokens": len(places),
            "bytes": int(bytes_of[arrays["tokens"]].sum()),
            "files": {kind: _write_array(folder, kind, array) for kind, array in arrays.items()},
        }

    def _stops(self, chosen: Int[np.ndarray, " document"]) -> Float[np.ndarray, " document"]:
        """What it cost to stop before each document: it stands at the next one's first token."""
        ends = self._ends[chosen]
        inside = ~np.isin(ends, self._offsets)
        stops = np.where(inside, self._arrays["floor"][np.where(inside, ends, 0)], 0.0)
        return np.append(0.0, stops[:-1]).astype(np.float32)


def _write_array(folder: Path, kind: str, array: np.ndarray) -> dict[str, str]:
    suffix = next(name for name, dtype in DTYPES.items() if np.dtype(dtype) == array.dtype)
    path = folder / f"{kind}.{suffix}"
    array.tofile(path)
    return {"name": path.name, "sha256": sha256_file(path)}


def _bins(
    difficulty: Float[np.ndarray, " document"], n_levels: int, split: str
) -> list[Int[np.ndarray, " document"]]:
    if len(difficulty) < n_levels:
        raise NotEnoughDataError(
            f"{n_levels} levels need as many documents; the {split} split has {len(difficulty)}."
        )
    return np.array_split(np.argsort(difficulty, kind="stable"), n_levels)


def _ids(corpus: Corpus, words: Sequence[str]) -> list[int]:
    """The tokens that begin these words after a space."""
    return [corpus.tokenizer.encode(f" {word}", bos=False)[0] for word in words]
