"""Labelled positions in texts: from a world's facts, or from a file of the user's own.

Each example is the row of tokens up to and including the position that is read, so that two
examples with equal tokens are, to a causal model, one and the same.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from interp.alignment import last_token
from interp.errors import ConfigError, NotEnoughDataError, near_misses
from interp.protocols import Tokenizer
from interp.worlds.world import Fact, Story, World

At = Literal["asked", "stated", "state"]


@dataclass(frozen=True, kw_only=True)
class Example:
    """One labelled position.

    Attributes:
        tokens: the row up to and including the position.
        label: the true value.
        story: which text it comes from.
        kind: what a control task hangs its arbitrary labels on: the fact (whom it is about and the
            value), or where it is about nobody, the word there.
        about: whom the fact is about; empty where it is about nobody.
        following: the token that comes next, where that matters.
    """

    tokens: tuple[int, ...]
    label: str
    story: int
    kind: str
    about: str = ""
    following: int = -1


def world_examples(
    tokenizer: Tokenizer,
    stories: Sequence[Story],
    variable: str,
    *,
    at: At = "asked",
    about: str | None = None,
    max_tokens: int,
) -> list[Example]:
    """Every fact of that variable and role as an example, in the order of the stories.

    Args:
        tokenizer: of the model that will be read.
        stories: of one world.
        variable: as facts name it.
        at: `asked`: the token just before the answer (the fact's span ends there);
            `stated`: the last token of the fact's span;
            `state`: the last token of the sentence after which it holds.
        about: keep only facts about this entity.
        max_tokens: positions beyond are left out.
    """
    examples = []
    for number, story in enumerate(stories):
        ids, spans = tokenizer.encode_with_spans(story.text)
        for fact in story.facts:
            if fact.variable != variable or about not in (None, fact.about):
                continue
            place = _position(fact, spans, at)
            if place is not None and place < max_tokens:
                examples.append(_example(tokenizer, ids, place, fact.value, number, fact.about))
    return examples


def file_examples(tokenizer: Tokenizer, path: str | Path, *, max_tokens: int) -> list[Example]:
    """The rows of a labelled file: JSON lines or CSV with `text`, `label`, perhaps `start`, `end`.

    The position read is the last token of `start:end`, or of the text where these are missing.

    Raises:
        ConfigError: no such file, no such columns, or a damaged line; says which.
        TokenError: a span without text, or text the tokenizer cannot encode.
    """
    examples = []
    for number, (text, label, span) in enumerate(_read_rows(Path(path))):
        ids, spans = tokenizer.encode_with_spans(text)
        place = last_token(spans, span)
        if place < max_tokens:
            examples.append(_example(tokenizer, ids, place, label, number, ""))
    return examples


def sample_stories(
    world: World, n: int, *, seed: int, level: str, split: str, first: int = 0
) -> list[Story]:
    """`n` stories whose numbers no other seed shares (below a million stories)."""
    if level not in world.levels:
        raise ConfigError(
            f"World {world.name!r} has no level {level!r}.{near_misses(level, world.levels)}"
        )
    first += seed * 1_000_000
    return [world.sample(first + i, level=level, split=split) for i in range(n)]


def groups(examples: Sequence[Example]) -> Int[Tensor, " example"]:
    """Numbers such that examples of one story, or with equal tokens, have the same number.

    A causal model gives equal prefixes equal activations: were they split between train and test,
    the probe would be tested on rows it was trained on.
    """
    parent = list(range(len(examples)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    seen: dict[object, int] = {}
    for i, example in enumerate(examples):
        for key in (example.story, example.tokens):
            parent[root(i)] = root(seen.setdefault(key, i))
    return torch.tensor([root(i) for i in range(len(examples))])


def split(
    groups: Int[Tensor, " example"], shares: Sequence[float], *, seed: int
) -> list[Int[Tensor, " example"]]:
    """Row numbers of the parts that hold about these shares, and of the rest; groups stay whole.

    Raises:
        NotEnoughDataError: a part stays empty because the groups are too few or too large.
    """
    names, index, sizes = groups.unique(return_inverse=True, return_counts=True)
    room = [share * len(groups) for share in shares]
    part = torch.full((len(names),), len(shares))
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed))
    for group in order.tolist():
        fits = [i for i, left in enumerate(room) if sizes[group] <= left]
        if fits:
            part[group] = fits[0]
            room[fits[0]] -= int(sizes[group])
    parts = [torch.nonzero(part[index] == i).flatten() for i in range(len(shares) + 1)]
    if not all(len(rows) for rows in parts):
        raise NotEnoughDataError(
            f"{len(groups)} examples in {len(names)} independent groups (one story, or one shared "
            f"beginning; the largest holds {int(sizes.max())}) cannot be split into train, "
            "validation and test. Ask for more stories, or read a later position."
        )
    return parts


def _position(fact: Fact, spans: Sequence[tuple[int, int]], at: str) -> int | None:
    """The token to read; None for a fact that is not in this role."""
    if fact.role != at:
        return None
    if at != "asked":
        return last_token(spans, fact.span)
    # The answer's first token may hold the space before it, so the last *whole* token is read.
    return max((i for i, (_, high) in enumerate(spans) if high <= fact.span[1]), default=None)


def _example(
    tokenizer: Tokenizer, ids: Sequence[int], place: int, label: str, story: int, about: str
) -> Example:
    kind = f"{about}, {label}" if about else tokenizer.display([ids[place]])[0]
    return Example(
        tokens=tuple(ids[: place + 1]),
        label=label,
        story=story,
        kind=kind,
        about=about,
    )


def _read_rows(path: Path) -> Iterator[tuple[str, str, tuple[int, int]]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"A labelled file in UTF-8 was needed at {path}: {error}.") from error
    reader: Callable[[str], Iterable[dict]] = _csv_rows if path.suffix == ".csv" else _json_rows
    for number, row in enumerate(reader(text), 1):
        yield _labelled(row, f"{path}, row {number}")


def _csv_rows(text: str) -> Iterator[dict]:
    return iter(csv.DictReader(text.splitlines()))


def _json_rows(text: str) -> Iterator[dict]:
    for line in text.splitlines():
        if line.strip():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                yield {}


def _labelled(row: object, place: str) -> tuple[str, str, tuple[int, int]]:
    if not isinstance(row, dict) or not row.get("text") or row.get("label") in (None, ""):
        raise ConfigError(
            f'{place}: each row needs "text" and "label" (and may have "start" and "end", '
            f"characters of the text); there stands {str(row)[:60]!r}."
        )
    try:
        start = int(row.get("start") or 0)
        end = int(row.get("end") or len(row["text"]))
    except ValueError as error:
        raise ConfigError(f"{place}: start and end must be whole numbers: {error}.") from error
    return str(row["text"]), str(row["label"]), (start, end)
