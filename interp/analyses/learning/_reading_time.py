"""How many words a corpus holds, and how long a person would read them."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from interp.core.errors import CheckpointError, NotEnoughDataError
from interp.core.files import read_object
from interp.core.protocols import LanguageModel
from interp.runs.record import corpus_of
from interp.worlds.world import World

HOURS = {"24 h a day": 24.0, "2 h a day": 2.0}
SPANS = ((365.25, "years"), (1.0, "days"), (1 / 24, "hours"), (1 / 1440, "minutes"))


def corpus_size(
    model: LanguageModel,
    record: Mapping[str, Any],
    folder: Path | None,
    world: World | None,
    n: int,
) -> tuple[int, int]:
    """Tokens and words of a run's training documents, each document once.

    Words, and tokens where the corpus is gone, are reckoned from the mean of some documents.

    Args:
        model: the model whose tokenizer counts.
        record: the run's record.
        folder: the run's folder; the corpus in it or beside it is counted, if it is still there.
        world: the world that told the text.
        n: documents of each level that are told again to measure their mean.
    Raises:
        NotEnoughDataError: there is neither a world nor a corpus to measure.
    """
    digest, source = corpus_of(record)
    documents = source.get("documents")
    if world is None or not isinstance(documents, Mapping) or source.get("world") != world.name:
        raise NotEnoughDataError(
            "The words of a corpus are measured on a world's documents; this run's record names no "
            "world that was given. Give world=..., or words=... if you know how many there are."
        )
    tokens, words = 0.0, 0.0
    for level, count in documents.items():
        texts = _documents(world, level, min(n, count))
        share = count / len(texts)
        words += share * sum(len(text.split()) for text in texts)
        tokens += share * sum(len(model.tokenizer.encode(text)) for text in texts)
    return _counted(folder, digest) or round(tokens), round(words)


@lru_cache(maxsize=16)
def _documents(world: World, level: str, n: int) -> tuple[str, ...]:
    """The first documents of a level; the same ones at every speed of reading."""
    return tuple(world.sample(i, level=level).text for i in range(n))


def _counted(folder: Path | None, digest: object) -> int | None:
    """Tokens of the corpus that the run was trained on, if its files are still there."""
    places = () if folder is None else (folder / "corpus", folder.parent / "corpus")
    for place in places:
        try:
            manifest = read_object(place / "corpus.json")
            if manifest.get("hash") == digest:
                return sum(part["tokens"] for part in manifest["parts"]["train"].values())
        except (CheckpointError, KeyError, TypeError, AttributeError):
            continue
    return None


def days_of_reading(words: float, words_per_minute: float, hours_a_day: float) -> float:
    """Days that a person reads.

    Example:
        >>> days_of_reading(238 * 60 * 48, 238, 24)
        2.0
    """
    return words / words_per_minute / 60 / hours_a_day


def duration(days: float) -> str:
    """A time in words: the largest unit of which there are two or more.

    Example:
        >>> duration(3.2), duration(0.5), duration(4000)
        ('3.2 days', '12 hours', '11 years')
    """
    for length, name in SPANS:
        if days >= 2 * length or name == "minutes":
            return f"{_short(days / length)} {name}"
    raise AssertionError


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.2g}"
