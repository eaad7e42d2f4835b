"""Accuracies with intervals over stories, and which shortcut comes nearest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.analyses.behavior._rule_search import FOUND
from interp.analyses.behavior._shortcut_baselines import Guesses
from interp.core.statistics.intervals import Interval, Statistic, bootstrap, clopper_pearson
from interp.methods.data.questions import NEVER_SAID, QuestionInContext

SAFE_BY = 0.10


@dataclass(frozen=True, kw_only=True)
class QuestionScore:
    """The scores of one kind of question in one split.

    Attributes:
        split: the stories' split.
        kind: the kind of question; `never_said` is scored by balanced accuracy.
        n: how many questions.
        accuracy: the model's accuracy, with its interval over stories.
        shortcuts: each shortcut's accuracy on the same questions.
        discovery: of the shortcuts found by search the one chosen for this kind of question in
            training; empty: none.
        best: the one with the highest accuracy of the listed shortcuts and `discovery`.
        margin: the model's accuracy less the best shortcut's, paired.
    """

    split: str
    kind: str
    n: int
    accuracy: Interval
    shortcuts: dict[str, Interval]
    discovery: str
    best: str
    margin: Interval

    @property
    def safe(self) -> bool:
        """Whether the listed shortcuts and `discovery` stay ten points or more below the model.

        In few questions ten points come by chance, so the margin's interval must lie above 0 too.
        """
        return self.margin.value >= SAFE_BY and self.margin.low > 0

    @property
    def best_listed(self) -> str:
        """The best of the listed shortcuts."""
        return best_of(self.shortcuts, "")


def best_of(shortcuts: Mapping[str, Interval], discovery: str) -> str:
    """The name of the most accurate one among the listed shortcuts and the found one."""
    names = [name for name in shortcuts if name not in FOUND or name == discovery]
    return max(names, key=lambda name: shortcuts[name].value)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """How one reader answered each question.

    Attributes:
        right: whether the whole answer is right.
        unknown: whether it said that the answer was never said.
    """

    right: Bool[Tensor, " question"]
    unknown: Bool[Tensor, " question"]


def score(
    rows: Mapping[str, Sequence[int]],
    questions: Sequence[QuestionInContext],
    model: Answers,
    shortcuts: dict[str, Guesses],
    discoveries: Mapping[str, str],
    split: str,
    seed: int,
) -> list[QuestionScore]:
    """A score for each row of a split.

    Args:
        rows: names of rows to the numbers of their questions.
        questions: the questions of the split.
        model: the model's answers to the questions.
        shortcuts: every shortcut's answers to the questions.
        discoveries: the found shortcut that counts, by row.
        split: the split's name.
        seed: the seed of the resampling.
    """
    return [
        _score(
            split,
            kind,
            [questions[i] for i in numbers],
            Answers(right=model.right[numbers], unknown=model.unknown[numbers]),
            {name: guesses.at(numbers) for name, guesses in shortcuts.items()},
            discoveries.get(kind, ""),
            seed,
        )
        for kind, numbers in rows.items()
    ]


def recalls(
    numbers: Sequence[int], questions: Sequence[QuestionInContext], model: Answers, seed: int
) -> dict[str, Interval]:
    """How often the model says `unknown` where it should, and does not where it should not."""
    unknown = torch.tensor([questions[i].unknown for i in numbers])
    stories = torch.tensor([questions[i].story for i in numbers])
    hits = model.unknown[numbers] == unknown
    return {
        name: balanced_accuracy(hits[where], unknown[where], stories[where], seed)
        for name, where in (("unknown", unknown), ("known", ~unknown))
        if where.any()
    }


def balanced_accuracy(
    hits: Bool[Tensor, " question"],
    classes: Bool[Tensor, " question"],
    stories: Int[Tensor, " question"],
    seed: int,
) -> Interval:
    """Mean over the classes that there are of the share of hits, with its interval over stories.

    It is the exact binomial one where all agree, and where each story has one example of one class.

    Example:
        >>> hits, classes = torch.tensor([True, True, True, False]), torch.arange(4) == 3
        >>> balanced_accuracy(hits, classes, torch.arange(4), seed=0).value
        0.5
    """
    n = len(stories.unique())
    if bool(hits.all()) or not bool(hits.any()):  # resampling would claim certainty
        return clopper_pearson(n * int(hits[0]), n)
    if n == len(hits) and (bool(classes.all()) or not bool(classes.any())):
        return clopper_pearson(int(hits.sum()), n)
    return _interval(_balanced(hits, classes), stories, seed)


def _score(
    split: str,
    kind: str,
    questions: list[QuestionInContext],
    model: Answers,
    shortcuts: dict[str, Guesses],
    discovery: str,
    seed: int,
) -> QuestionScore:
    unknown = torch.tensor([question.unknown for question in questions])
    stories = torch.tensor([question.story for question in questions])
    never = kind == NEVER_SAID
    hits = model.unknown == unknown if never else model.right
    shortcut_hits = {
        name: torch.tensor(guesses.unknown) == unknown if never else _right(guesses, questions)
        for name, guesses in shortcuts.items()
        if any(guesses.applies)
    }
    accuracies = {
        name: balanced_accuracy(own, unknown, stories, seed) for name, own in shortcut_hits.items()
    }
    best = best_of(accuracies, discovery)
    ours, other = _balanced(hits, unknown), _balanced(shortcut_hits[best], unknown)
    return QuestionScore(
        split=split,
        kind=kind,
        n=len(questions),
        accuracy=balanced_accuracy(hits, unknown, stories, seed),
        shortcuts=accuracies,
        discovery=discovery,
        best=best,
        # One set of story weights for both: a hard story is hard for model and shortcut alike.
        margin=_interval(lambda weights: ours(weights) - other(weights), stories, seed),
    )


def _balanced(hits: Bool[Tensor, " question"], classes: Bool[Tensor, " question"]) -> Statistic:
    # Every row but `never_said` has one class, and then this is plain accuracy.
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


def _right(guesses: Guesses, questions: Sequence[QuestionInContext]) -> Bool[Tensor, " question"]:
    pairs = zip(guesses.answers, questions, strict=True)
    return torch.tensor([guess == question.answer for guess, question in pairs])
