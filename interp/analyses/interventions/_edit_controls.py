"""An edit at the chosen cell, on held-out questions, beside edits that should do nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from interp.analyses.interventions._counterfactuals import Item, first_choices
from interp.core.protocols import LanguageModel
from interp.core.statistics.intervals import UNKNOWN, Interval, rate
from interp.methods.activations import Site, rows_at
from interp.methods.untrained import untrained_twins


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The questions of all three kinds, and what answers look like."""

    training: list[Item]
    tuning: list[Item]
    testing: list[Item]
    classes: tuple[str, ...]
    answers: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Where the edit is made, with what the training questions hold there."""

    site: Site
    position: str
    dose: float
    means: Float[Tensor, "class d_model"]
    rows: Float[Tensor, "item d_model"]


def rows_of(
    model: LanguageModel, items: Sequence[Item], position: str, sites: Sequence[Site]
) -> Float[Tensor, "site item d_model"]:
    """What each site holds at that token of each story."""
    return rows_at(model, [item.example(position, item.value) for item in items], sites)


def means_of(
    rows: Float[Tensor, "site item d_model"], items: Sequence[Item], classes: Sequence[str]
) -> Float[Tensor, "site class d_model"]:
    """The mean activation of each value."""
    owners = [torch.tensor([item.value == value for item in items]) for value in classes]
    return torch.stack([rows[:, held].mean(1) for held in owners], 1)


def new_values(items: Sequence[Item], classes: Sequence[str], seed: int) -> list[str]:
    """Another value for each question, drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(1, len(classes), (len(items),), generator=generator).tolist()
    return [
        classes[(classes.index(item.value) + step) % len(classes)]
        for item, step in zip(items, drawn, strict=True)
    ]


def differences(
    items: Sequence[Item], new: Sequence[str], means: Tensor, classes: Sequence[str]
) -> Float[Tensor, "item d_model"]:
    """The mean of each new value less the mean of the true one."""
    pairs = zip(items, new, strict=True)
    ends = [(classes.index(value), classes.index(item.value)) for item, value in pairs]
    to, from_ = torch.tensor(ends).T
    return means[to] - means[from_]


def says(choices: Sequence[Tensor], items: Sequence[Item], wanted: Sequence[int]) -> list[bool]:
    """Whether each question is answered with that token."""
    rows = zip(choices, items, wanted, strict=True)
    return [int(best[item.positions["asked"]]) == token for best, item, token in rows]


def held_out(
    model: LanguageModel, bench: Bench, cell: Cell, call: dict[str, Any]
) -> dict[str, Any]:
    """What is counted on the test stories, at the one cell that was chosen."""
    items, seed = bench.testing, call["seed"]
    new = new_values(items, bench.classes, seed + 1)
    wanted = [bench.answers[value] for value in new]
    at = [item.positions[cell.position] for item in items]
    vectors = cell.dose * differences(items, new, cell.means, bench.classes)
    stories = list(range(len(items)))
    before = first_choices(model, items)
    after = first_choices(model, items, cell.site, vectors, at)
    other, theirs = _other_directions(bench, cell, vectors, seed)
    controls = {"random": _random(model, items, cell, vectors, wanted, call)}
    if other:
        choices = first_choices(model, items, cell.site, theirs, at)
        controls["other_variable"] = rate(says(choices, items, wanted), stories, seed=seed)
    elsewhere = _elsewhere(model, items, cell, vectors, wanted, seed)
    if elsewhere.n:
        controls["other_entity"] = elsewhere
    for twin in untrained_twins(model, 1, seed):
        controls["untrained"] = _untrained(twin, bench, cell, new, seed)
    controls["unedited"] = rate(says(before, items, wanted), stories, seed=seed)
    answers = [item.answer for item in items]
    return {
        "other": other,
        "success": rate(says(after, items, wanted), stories, seed=seed),
        "controls": controls,
        "known": rate(says(before, items, answers), stories, seed=seed),
        "later": _later(after, items, seed),
        "later_unedited": _later(before, items, seed),
        "length": float(vectors.norm(dim=1).mean() / cell.rows.norm(dim=1).mean()),
    }


def _random(
    model: LanguageModel,
    items: Sequence[Item],
    cell: Cell,
    vectors: Tensor,
    wanted: Sequence[int],
    call: dict[str, Any],
) -> Interval:
    """The same lengths in random directions."""
    generator = torch.Generator().manual_seed(call["seed"])
    at, flags = [item.positions[cell.position] for item in items], []
    for _ in range(call["n_random"]):
        drawn = torch.randn(vectors.shape, generator=generator)
        drawn *= vectors.norm(dim=1, keepdim=True) / drawn.norm(dim=1, keepdim=True)
        flags += says(first_choices(model, items, cell.site, drawn, at), items, wanted)
    owners = list(range(len(items))) * call["n_random"]
    return rate(flags, owners, seed=call["seed"]) if flags else UNKNOWN


def _other_directions(bench: Bench, cell: Cell, vectors: Tensor, seed: int) -> tuple[str, Tensor]:
    """Differences between two values of another variable at the same tokens, of equal length."""
    names = [name for item in bench.training for name in item.others]
    if not names:
        return "", vectors
    other = max(dict.fromkeys(names), key=names.count)
    values = [item.others.get(other, "") for item in bench.training]
    known = [value for value in dict.fromkeys(values) if value and values.count(value) > 1]
    if len(known) < 2:
        return "", vectors
    owners = [torch.tensor([value == name for value in values]) for name in known]
    means = torch.stack([cell.rows[held].mean(0) for held in owners])
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(len(known), (len(vectors),), generator=generator)
    step = torch.randint(1, len(known), (len(vectors),), generator=generator)
    drawn = means[(first + step) % len(known)] - means[first]
    return other, drawn * vectors.norm(dim=1, keepdim=True) / drawn.norm(dim=1, keepdim=True)


def _elsewhere(
    model: LanguageModel,
    items: Sequence[Item],
    cell: Cell,
    vectors: Tensor,
    wanted: Sequence[int],
    seed: int,
) -> Interval:
    """The same edit at the token of somebody else, who is not asked about."""
    rows = [i for i, item in enumerate(items) if cell.position in item.elsewhere]
    if len(rows) < 2:
        return UNKNOWN
    held = [items[i] for i in rows]
    at = [item.elsewhere[cell.position] for item in held]
    choices = first_choices(model, held, cell.site, vectors[rows], at)
    return rate(says(choices, held, [wanted[i] for i in rows]), rows, seed=seed)


def _untrained(
    twin: LanguageModel, bench: Bench, cell: Cell, new: Sequence[str], seed: int
) -> Interval:
    """An untrained model with means of its own, at the same cell and dose."""
    items = bench.testing
    means = means_of(
        rows_of(twin, bench.training, cell.position, [cell.site]), bench.training, bench.classes
    )[0]
    vectors = cell.dose * differences(items, new, means, bench.classes)
    at = [item.positions[cell.position] for item in items]
    choices = first_choices(twin, items, cell.site, vectors, at)
    flags = says(choices, items, [bench.answers[value] for value in new])
    return rate(flags, list(range(len(items))), seed=seed)


def _later(choices: Sequence[Tensor], items: Sequence[Item], seed: int) -> Interval:
    """Right first choices at the questions that come after, by story."""
    found = [
        (int(best[place]) == token, number)
        for number, (best, item) in enumerate(zip(choices, items, strict=True))
        for place, token in item.later
    ]
    flags, owners = [flag for flag, _ in found], [number for _, number in found]
    return rate(flags, owners, seed=seed) if len(set(owners)) > 1 else UNKNOWN
