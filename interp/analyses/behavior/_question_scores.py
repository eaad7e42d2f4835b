"""Accuracies with intervals over stories, and which shortcut comes nearest."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.analyses.behavior._shortcut_baselines import Guesses
from interp.core.statistics.intervals import Interval, Statistic, bootstrap, clopper_pearson
from interp.methods.data.questions import NEVER_SAID, QuestionInContext, table_rows

SAFE_BY = 0.10


@dataclass(frozen=True, kw_only=True)
class QuestionScore:
    """One kind of question in one split.

    Attributes:
        split: the stories' split.
        kind: of question; `never_said` is scored by balanced accuracy.
        n: questions.
        accuracy: the model's, with its interval over stories.
        shortcuts: each shortcut's on the same questions.
        best: the shortcut with the highest.
        margin: model less best shortcut, paired.
    """

    split: str
    kind: str
    n: int
    accuracy: Interval
    shortcuts: dict[str, Interval]
    best: str
    margin: Interval

    @property
    def safe(self) -> bool:
        """Whether every shortcut stays ten points or more below the model."""
        return self.margin.value >= SAFE_BY


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What one reader said.

    Attributes:
        right: the whole answer, a question each.
        unknown: it said that the answer was never said.
    """

    right: Bool[Tensor, " question"]
    unknown: Bool[Tensor, " question"]


def score(
    questions: Sequence[QuestionInContext],
    model: Answers,
    shortcuts: dict[str, Guesses],
    split: str,
    order: Sequence[str],
    seed: int,
) -> list[QuestionScore]:
    """A row for each kind of question of a split.

    Args:
        questions: its questions.
        model: the model's answers to them.
        shortcuts: every shortcut's.
        split: its name.
        order: of the kinds.
        seed: of the resampling.
    """
    return [
        _row(
            split,
            kind,
            [questions[i] for i in found],
            Answers(right=model.right[found], unknown=model.unknown[found]),
            {name: told.at(found) for name, told in shortcuts.items()},
            seed,
        )
        for kind, found in table_rows(questions, split, order).items()
    ]


def recalls(
    questions: Sequence[QuestionInContext], model: Answers, seed: int
) -> dict[str, Interval]:
    """How often the model says `unknown` where it should, and does not where it should not."""
    unknown = torch.tensor([question.unknown for question in questions])
    stories = torch.tensor([question.story for question in questions])
    hits = model.unknown == unknown
    return {
        name: accuracy(hits[where], unknown[where], stories[where], seed)
        for name, where in (("unknown", unknown), ("known", ~unknown))
        if where.any()
    }


def accuracy(
    hits: Bool[Tensor, " question"],
    classes: Bool[Tensor, " question"],
    stories: Int[Tensor, " question"],
    seed: int,
) -> Interval:
    """Mean over the classes that there are of the share of hits, with its interval over stories.

    Example:
        >>> hits, classes = torch.tensor([True, True, True, False]), torch.arange(4) == 3
        >>> accuracy(hits, classes, torch.arange(4), seed=0).value
        0.5
    """
    n = len(stories.unique())
    if bool(hits.all()) or not bool(hits.any()):  # resampling would claim certainty
        return clopper_pearson(n * int(hits[0]), n)
    return _interval(_balanced(hits, classes), stories, seed)


def _row(
    split: str,
    kind: str,
    questions: list[QuestionInContext],
    model: Answers,
    shortcuts: dict[str, Guesses],
    seed: int,
) -> QuestionScore:
    unknown = torch.tensor([question.unknown for question in questions])
    stories = torch.tensor([question.story for question in questions])
    never = kind == NEVER_SAID
    mine = model.unknown == unknown if never else model.right
    theirs = {
        name: torch.tensor(told.unknown) == unknown if never else _right(told, questions)
        for name, told in shortcuts.items()
        if any(told.applies)
    }
    found = {name: accuracy(hits, unknown, stories, seed) for name, hits in theirs.items()}
    best = max(found, key=lambda name: found[name].value)
    ours, other = _balanced(mine, unknown), _balanced(theirs[best], unknown)
    return QuestionScore(
        split=split,
        kind=kind,
        n=len(questions),
        accuracy=accuracy(mine, unknown, stories, seed),
        shortcuts=found,
        best=best,
        margin=_interval(lambda weights: ours(weights) - other(weights), stories, seed),
    )


def _balanced(hits: Bool[Tensor, " question"], classes: Bool[Tensor, " question"]) -> Statistic:
    parts = [part.double() for part in (classes, ~classes) if part.any()]

    def statistic(weights: Float[Tensor, "boot question"]) -> Float[Tensor, " boot"]:
        shares = [(weights @ (part * hits)) / (weights @ part) for part in parts]
        return torch.stack(shares).mean(0)

    return statistic


def _interval(statistic: Statistic, stories: Int[Tensor, " question"], seed: int) -> Interval:
    if len(stories.unique()) >= 2:
        return bootstrap(statistic, len(stories), stories, seed=seed)
    value = float(statistic(torch.ones(1, len(stories), dtype=torch.float64))[0])
    return Interval.without_ends(value, 1)


def _right(told: Guesses, questions: Sequence[QuestionInContext]) -> Bool[Tensor, " question"]:
    pairs = zip(told.answers, questions, strict=True)
    return torch.tensor([guess == question.answer for guess, question in pairs])
