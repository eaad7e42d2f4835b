"""Labelled positions in texts: from a world's facts, or from a file of the user's own.

Each example is the row of tokens up to and including the position that is read, so that two
examples with equal tokens are, to a causal model, one and the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from interp.core.alignment import last_token
from interp.core.errors import ConfigError, NotEnoughDataError
from interp.core.protocols import Tokenizer
from interp.methods.data.labelled_table import (
    check_labels,
    check_numbers,
    place_rows,
    read_labelled,
)
from interp.worlds.world import Fact, Story, World, check_name

At = Literal["asked", "stated", "state"]


@dataclass(frozen=True, kw_only=True)
class Example:
    """One labelled position.

    Attributes:
        tokens: the row up to and including the position.
        label: the true value at the position.
        story: the number of the text that the position is in.
        kind: what a control task hangs its arbitrary labels on: the fact (whom it is about and the
            value), or where it is about nobody, the word there.
        about: whom the fact is about; empty where it is about nobody.
        following: the token that comes next, where that matters.
        group: the example's group, whose examples stay on one side of a split; empty = only its
            text's and its tokens' examples do.
    """

    tokens: tuple[int, ...]
    label: str
    story: int
    kind: str
    about: str = ""
    following: int = -1
    group: str = ""


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
    Raises:
        NotEnoughDataError: every place lies beyond them: more stories would not help.
    """
    examples, beyond = [], 0
    for number, story in enumerate(stories):
        ids, spans = tokenizer.encode_with_spans(story.text)
        for fact in story.facts:
            if (fact.variable, fact.role) != (variable, at) or about not in (None, fact.about):
                continue
            place = fact_position(fact, spans)
            if place is not None and place < max_tokens:
                examples.append(_example(tokenizer, ids, place, fact.value, number, fact.about))
            elif place is not None:
                beyond += 1
    if beyond and not examples:
        raise NotEnoughDataError(
            f"A place to read {variable} needs to lie within the model's context of {max_tokens} "
            f"tokens; all {beyond} lie beyond it. Take an easier level (`level=`), another "
            "`variable` or `at`, or a model with a longer context."
        )
    return examples


def file_examples(
    tokenizer: Tokenizer, path: str | Path, *, max_tokens: int, numeric: bool = False
) -> list[Example]:
    """The rows of a labelled file (see `labelled_table.py`), each read at its place.

    Args:
        tokenizer: of the model that will be read.
        path: the file.
        max_tokens: the model's context.
        numeric: the labels need to be numbers; else they are classes.
    Raises:
        ConfigError: no such file, no such columns, or a damaged row; says which.
        NotEnoughDataError: too few rows, or rows of one label.
        TokenError: a text the tokenizer cannot encode, or too long; says in which row.
    """
    rows = read_labelled(path)
    (check_numbers if numeric else check_labels)(rows)
    placed = place_rows(rows, tokenizer, max_tokens)
    return [
        replace(_example(tokenizer, ids, place, row.label, number, ""), group=row.group)
        for number, (row, (ids, place)) in enumerate(zip(rows, placed, strict=True))
    ]


def sample_stories(
    world: World, n: int, *, seed: int, level: str, split: str, first: int = 0
) -> list[Story]:
    """`n` stories whose numbers no other seed shares (below a million stories).

    Raises:
        ConfigError: no world, or no such level of it.
    """
    if not isinstance(world, World):
        raise ConfigError(
            f"A world is needed, as interp.load_world gives one; got {world!r:.80}. Without one, "
            "use an instrument that reads texts or labels."
        )
    check_name(world.name, "level", level, world.levels)
    first += seed * 1_000_000
    return [world.sample(first + i, level=level, split=split) for i in range(n)]


def groups(examples: Sequence[Example]) -> Int[Tensor, " example"]:
    """Numbers such that examples of one story or group, or with equal tokens, are one.

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
        named = [("group", example.group)] if example.group else []
        for key in (example.story, example.tokens, *named):
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


def fact_position(fact: Fact, spans: Sequence[tuple[int, int]]) -> int | None:
    """The token at which a reader can know a fact; of one that is asked, the one before the answer.

    None when an answer stands at the very beginning.
    """
    if fact.role != "asked":
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
