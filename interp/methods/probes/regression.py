"""What a regression probe runs: the true numbers and shuffled ones, the folds, the fits."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.methods.data.examples import Example, groups, split
from interp.methods.probes.ridge import Ridge, fit_ridge

DRAWS = 3
"""Times that the labels are shuffled; the control is their mean."""


@dataclass(frozen=True, kw_only=True)
class RegressionData:
    """Examples with their numbers and the cross-validation.

    Attributes:
        examples: whose last tokens are read.
        targets: numbers; row 0 is the truth, in the others it is shuffled.
        groups: of each example; no group is in two parts.
        validation: numbers of the examples that choose the site.
        tested: numbers of all others.
        folds: the parts of `tested`.
    """

    examples: Sequence[Example]
    targets: Float[Tensor, "task example"]
    groups: Int[Tensor, " example"]
    validation: Int[Tensor, " example"]
    tested: Int[Tensor, " example"]
    folds: tuple[Int[Tensor, " example"], ...]


@dataclass(frozen=True, kw_only=True)
class RegressionFit:
    """One site's regressions.

    Attributes:
        regression: of all tasks, on all of `tested`.
        validation: R² of the truth on the validation examples.
        errors: squared error of each tested example, predicted by the other folds: of `probe`, and
            of `shuffled` (mean over its draws).
        predicted: what the other folds say of each tested example.
    """

    regression: Ridge
    validation: float
    errors: dict[str, Float[Tensor, " example"]]
    predicted: Float[Tensor, " example"]


def numbers_of(examples: Sequence[Example], n_folds: int, seed: int) -> RegressionData:
    """The labels as numbers, shuffled too, and the parts.

    Args:
        examples: whose labels are numbers, as `file_examples(numeric=True)` makes sure.
        n_folds: parts of the cross-validation.
        seed: of the parts and the shuffles.
    Raises:
        NotEnoughDataError: too few groups.
    """
    truth = torch.tensor([float(example.label) for example in examples], dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(truth), generator=generator) for _ in range(DRAWS)]
    grouped = groups(examples)
    validation, tested = split(grouped, (0.15,), seed=seed)
    parts = split(grouped[tested], [1 / n_folds] * (n_folds - 1), seed=seed)
    return RegressionData(
        examples=examples,
        targets=torch.stack([truth, *(truth[order] for order in orders)]),
        groups=grouped,
        validation=validation,
        tested=tested,
        folds=tuple(tested[part] for part in parts),
    )


def fit_numbers(
    x: Float[Tensor, "example feature"], data: RegressionData, l2: float
) -> RegressionFit:
    """Every task fitted on all tested examples, and on all folds but one.

    Args:
        x: a row an example: activations, or counts of tokens.
        data: with the numbers and the folds.
        l2: see `fit_ridge`.
    """
    predicted = torch.zeros_like(data.targets)
    for fold in data.folds:
        others = data.tested[~torch.isin(data.tested, fold)]
        predicted[:, fold] = fit_ridge(x[others], data.targets[:, others], l2=l2).predict(x[fold])
    errors = ((predicted - data.targets) ** 2)[:, data.tested]
    regression = fit_ridge(x[data.tested], data.targets[:, data.tested], l2=l2)
    truth = data.targets[0, data.validation]
    said = regression.predict(x[data.validation])[0]
    level = data.targets[0, data.tested].mean()
    return RegressionFit(
        regression=regression,
        validation=float(1 - ((said - truth) ** 2).sum() / ((truth - level) ** 2).sum()),
        errors={"probe": errors[0], "shuffled": errors[1:].mean(0)},
        predicted=predicted[0, data.tested],
    )
