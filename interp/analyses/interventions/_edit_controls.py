"""An edit at the chosen cell, on held-out questions, beside edits that should do nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from interp.analyses.interventions._counterfactuals import StateQuestion, first_choices
from interp.core.protocols import LanguageModel
from interp.core.statistics.intervals import UNKNOWN, Interval, rate
from interp.methods.activations import Site, rows_at
from interp.methods.untrained import untrained_twins


@dataclass(frozen=True, kw_only=True)
class QuestionSplits:
    """The questions of all three kinds, and what answers look like.

    Attributes:
        training: whose activations the means are of.
        tuning: on which layer and dose are chosen.
        testing: on which success is counted.
        classes: the values of the variable.
        answers: of each value, the id of the first token that says it.
    """

    training: list[StateQuestion]
    tuning: list[StateQuestion]
    testing: list[StateQuestion]
    classes: tuple[str, ...]
    answers: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class EditSite:
    """Where the edit is made, with what the training questions hold there.

    Attributes:
        site: hook point, as (short name, layer).
        position: by name in `POSITIONS`, at which token.
        dose: in differences of means.
        means: the mean activation of each value there.
        rows: the activation of each training question there.
    """

    site: Site
    position: str
    dose: float
    means: Float[Tensor, "class d_model"]
    rows: Float[Tensor, "question d_model"]


def site_rows(
    model: LanguageModel, questions: Sequence[StateQuestion], position: str, sites: Sequence[Site]
) -> Float[Tensor, "site question d_model"]:
    """What each site holds at that token of each story."""
    return rows_at(
        model, [question.example(position, question.value) for question in questions], sites
    )


def means_of(
    rows: Float[Tensor, "site question d_model"],
    questions: Sequence[StateQuestion],
    classes: Sequence[str],
) -> Float[Tensor, "site class d_model"]:
    """The mean activation of each value."""
    of_value = [
        torch.tensor([question.value == value for question in questions]) for value in classes
    ]
    return torch.stack([rows[:, mask].mean(1) for mask in of_value], 1)


def new_values(questions: Sequence[StateQuestion], classes: Sequence[str], seed: int) -> list[str]:
    """Another value for each question, drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    # A step of 1 to n - 1 round the circle of values reaches each other one alike, never itself.
    steps = torch.randint(1, len(classes), (len(questions),), generator=generator).tolist()
    return [
        classes[(classes.index(question.value) + step) % len(classes)]
        for question, step in zip(questions, steps, strict=True)
    ]


def mean_differences(
    questions: Sequence[StateQuestion], new: Sequence[str], means: Tensor, classes: Sequence[str]
) -> Float[Tensor, "question d_model"]:
    """The mean of each new value less the mean of the true one."""
    pairs = zip(questions, new, strict=True)
    ends = [(classes.index(value), classes.index(question.value)) for question, value in pairs]
    new_class, true_class = torch.tensor(ends).T
    return means[new_class] - means[true_class]


def says(
    choices: Sequence[Tensor], questions: Sequence[StateQuestion], wanted: Sequence[int]
) -> list[bool]:
    """Whether each question is answered with that token."""
    rows = zip(choices, questions, wanted, strict=True)
    return [int(best[question.positions["asked"]]) == token for best, question, token in rows]


def held_out_rates(
    model: LanguageModel, splits: QuestionSplits, edit_site: EditSite, call: dict[str, Any]
) -> dict[str, Any]:
    """What is counted on the test stories, at the one cell that was chosen."""
    questions, seed = splits.testing, call["seed"]
    new = new_values(questions, splits.classes, seed + 1)
    wanted = [splits.answers[value] for value in new]
    at = [question.positions[edit_site.position] for question in questions]
    vectors = edit_site.dose * mean_differences(questions, new, edit_site.means, splits.classes)

    def edited(vectors: Tensor, subject: LanguageModel = model) -> list[Tensor]:
        return first_choices(subject, questions, edit_site.site, vectors, at)

    def success(choices: Sequence[Tensor], wanted: Sequence[int] = wanted) -> Interval:
        return rate(says(choices, questions, wanted), seed=seed)

    before, after = first_choices(model, questions), edited(vectors)
    other, other_vectors = _other_directions(splits, edit_site, vectors, seed)
    flags = [
        flag
        for random in _random_vectors(vectors, call["n_random"], seed)
        for flag in says(edited(random), questions, wanted)
    ]
    owners = list(range(len(questions))) * call["n_random"]
    controls = {"random": rate(flags, owners, seed=seed) if flags else UNKNOWN}
    if other:
        controls["other_variable"] = success(edited(other_vectors))
    elsewhere = _elsewhere(model, questions, edit_site, vectors, wanted, seed)
    if elsewhere.n:
        controls["other_entity"] = elsewhere
    for twin in untrained_twins(model, 1, seed):
        rows = site_rows(twin, splits.training, edit_site.position, [edit_site.site])
        means = means_of(rows, splits.training, splits.classes)[0]
        own = edit_site.dose * mean_differences(questions, new, means, splits.classes)
        controls["untrained"] = success(edited(own, twin))
    controls["unedited"] = success(before)
    return {
        "other": other,
        "success": success(after),
        "controls": controls,
        "known": success(before, [question.answer for question in questions]),
        "later": _later(after, questions, seed),
        "later_unedited": _later(before, questions, seed),
        "length": float(vectors.norm(dim=1).mean() / edit_site.rows.norm(dim=1).mean()),
    }


def _random_vectors(
    vectors: Float[Tensor, "question d_model"], count: int, seed: int
) -> Iterator[Float[Tensor, "question d_model"]]:
    """The same lengths in random directions."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        random = torch.randn(vectors.shape, generator=generator)
        yield random * (vectors.norm(dim=1, keepdim=True) / random.norm(dim=1, keepdim=True))


def _other_directions(
    splits: QuestionSplits, edit_site: EditSite, vectors: Tensor, seed: int
) -> tuple[str, Tensor]:
    """Differences between two values of another variable at the same tokens, of equal length."""
    names = [name for question in splits.training for name in question.others]
    if not names:
        return "", vectors
    other = max(dict.fromkeys(names), key=names.count)
    values = [question.others.get(other, "") for question in splits.training]
    known = [value for value in dict.fromkeys(values) if value and values.count(value) > 1]
    if len(known) < 2:
        return "", vectors
    of_value = [torch.tensor([value == name for value in values]) for name in known]
    means = torch.stack([edit_site.rows[mask].mean(0) for mask in of_value])
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(len(known), (len(vectors),), generator=generator)
    step = torch.randint(1, len(known), (len(vectors),), generator=generator)
    other_vectors = means[(first + step) % len(known)] - means[first]
    lengths = vectors.norm(dim=1, keepdim=True) / other_vectors.norm(dim=1, keepdim=True)
    return other, other_vectors * lengths


def _elsewhere(
    model: LanguageModel,
    questions: Sequence[StateQuestion],
    edit_site: EditSite,
    vectors: Tensor,
    wanted: Sequence[int],
    seed: int,
) -> Interval:
    """The same edit at the token of somebody else, who is not asked about."""
    rows = [i for i, question in enumerate(questions) if edit_site.position in question.elsewhere]
    if len(rows) < 2:
        return UNKNOWN
    some = [questions[i] for i in rows]
    at = [question.elsewhere[edit_site.position] for question in some]
    choices = first_choices(model, some, edit_site.site, vectors[rows], at)
    return rate(says(choices, some, [wanted[i] for i in rows]), rows, seed=seed)


def _later(choices: Sequence[Tensor], questions: Sequence[StateQuestion], seed: int) -> Interval:
    """Right first choices at the questions that come after, by story."""
    answered = [
        (int(best[place]) == token, number)
        for number, (best, question) in enumerate(zip(choices, questions, strict=True))
        for place, token in question.later
    ]
    flags, owners = [flag for flag, _ in answered], [number for _, number in answered]
    return rate(flags, owners, seed=seed) if len(set(owners)) > 1 else UNKNOWN
