"""What a probe runs: tasks and controls, the split, the fits, the counts on test stories."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.errors import NotEnoughDataError
from interp.core.hooks import Name
from interp.core.progress import progress_range, report_progress
from interp.core.protocols import LanguageModel, Tokenizer
from interp.core.statistics.intervals import Interval, paired_difference, rate
from interp.methods.activations import rows_at, site_label
from interp.methods.data.examples import Example, groups, split, world_examples
from interp.methods.probes.classifier import Linear, Mlp, class_directions, fit_linear, fit_mlp
from interp.methods.probes.directions import token_counts
from interp.worlds.world import Story

Kind = Literal["linear", "mlp"]
DRAWS = 3
"""Times that each control is drawn; its accuracy is their mean."""
MOST_EXAMPLES = 800


@dataclass(frozen=True, kw_only=True)
class ProbeData:
    """Examples with their split.

    Attributes:
        examples: whose last tokens are read.
        classes: the values, by class number.
        targets: class numbers; task 0 is the truth, the others are controls.
        names: of the tasks: `probe`, `shuffled`, `control_task`.
        groups: of each example; no group is in two parts of the split.
        train: numbers of the training examples.
        validation: numbers of the examples that choose the site.
        test: numbers of the examples that are counted.
        folds: under cross-validation the parts of `train`, which then is `test` too: each is
            predicted by what the others taught. Empty: `test` is a part of its own.
    """

    examples: Sequence[Example]
    classes: tuple[str, ...]
    targets: Int[Tensor, "task example"]
    names: tuple[str, ...]
    groups: Int[Tensor, " example"]
    train: Int[Tensor, " example"]
    validation: Int[Tensor, " example"]
    test: Int[Tensor, " example"]
    folds: tuple[Int[Tensor, " example"], ...] = ()


@dataclass(frozen=True, kw_only=True)
class ProbeFit:
    """One site's classifiers, and what they reached.

    Attributes:
        classifier: of all tasks.
        validation: accuracy on the validation examples.
        right: by task name, which test examples were right (mean over the draws of a control).
        predicted: class of each test example.
    """

    classifier: Linear | Mlp
    validation: float
    right: dict[str, Float[Tensor, " example"]]
    predicted: Int[Tensor, " example"]


def prepare(
    examples: Sequence[Example], order: Sequence[str], seed: int, n_folds: int = 0
) -> ProbeData:
    """Classes, the split, and the tasks: the true one, shuffled ones, arbitrary ones.

    Args:
        examples: whose last tokens are read.
        order: the values in order, as far as they are known.
        seed: of the split and the controls.
        n_folds: of a cross-validation of all but the validation examples; 0 = one split.
    Raises:
        NotEnoughDataError: too few examples, classes or groups.
    """
    labels = {example.label for example in examples}
    known = [value for value in order if value in labels]
    classes = (*known, *sorted(labels.difference(known)))
    if len(examples) < 40 or len(classes) < 2:
        raise NotEnoughDataError(
            f"A probe needs 40 examples of two classes or more; got {len(examples)} of "
            f"{len(classes)}. Ask for more stories, or check `variable`, `at` and `about`."
        )
    grouped = groups(examples)
    if n_folds:
        validation, train = split(grouped, (0.15,), seed=seed)
        parts = split(grouped[train], [1 / n_folds] * (n_folds - 1), seed=seed)
        test, folds = train, tuple(train[part] for part in parts)
    else:
        test, validation, train = split(grouped, (0.25, 0.15), seed=seed)
        folds = ()
    truth = torch.tensor([classes.index(example.label) for example in examples])
    names, tasks = _tasks(examples, truth, seed)
    return ProbeData(
        examples=examples,
        classes=classes,
        targets=tasks,
        names=names,
        groups=grouped,
        train=train,
        validation=validation,
        test=test,
        folds=folds,
    )


def _tasks(
    examples: Sequence[Example], truth: Int[Tensor, " example"], seed: int
) -> tuple[tuple[str, ...], Int[Tensor, "task example"]]:
    generator = torch.Generator().manual_seed(seed)
    n = len(truth)
    tasks = [("probe", truth)]
    for _ in range(DRAWS):
        tasks.append(("shuffled", truth[torch.randperm(n, generator=generator)]))
    kinds = {kind: i for i, kind in enumerate(dict.fromkeys(e.kind for e in examples))}
    of_kind = torch.tensor([kinds[example.kind] for example in examples])
    for _ in range(DRAWS if len(kinds) > 1 else 0):
        # Hewitt & Liang draw each kind's label from the true labels' distribution.
        labels = truth[torch.randint(0, n, (len(kinds),), generator=generator)]
        tasks.append(("control_task", labels[of_kind]))
    return tuple(name for name, _ in tasks), torch.stack([task for _, task in tasks])


def probe_data(
    tokenizer: Tokenizer,
    stories: Sequence[Story],
    variables: Mapping[str, Sequence[str]],
    *,
    longest: int,
    seed: int,
) -> dict[str, ProbeData]:
    """Each variable's examples with their split: where it is asked, else where it holds.

    What is only stated is left out: there the word itself says it. So is what is too rare.

    Args:
        tokenizer: of the models that will be probed.
        stories: whose facts are read.
        variables: the values of each in order.
        longest: tokens of a story that are read.
        seed: of the split and the controls.
    """
    data = {}
    for variable, values in variables.items():
        examples = _examples(tokenizer, stories, variable, longest)
        with suppress(NotEnoughDataError):
            data[variable] = prepare(examples, tuple(values), seed)
    return data


def _examples(
    tokenizer: Tokenizer, stories: Sequence[Story], variable: str, longest: int
) -> Sequence[Example]:
    for at in ("asked", "state"):
        examples: Sequence[Example] = ()
        with suppress(NotEnoughDataError):  # The other place may lie within the context.
            examples = world_examples(tokenizer, stories, variable, at=at, max_tokens=longest)
        if len(examples) > MOST_EXAMPLES:  # whole stories only: the split is by story
            examples = [e for e in examples if e.story < examples[MOST_EXAMPLES].story]
        if examples:
            return examples
    return []


def only_truth(data: ProbeData) -> ProbeData:
    """The same rows without the controls that are only label games."""
    return replace(data, targets=data.targets[:1], names=data.names[:1])


def fit_sites(
    model: LanguageModel, data: ProbeData, sites: Sequence[Name], kind: Kind, l2: float, seed: int
) -> list[ProbeFit]:
    """Every task fitted and scored at every site."""
    with progress_range(0.0, 0.3):
        rows = rows_at(model, data.examples, sites)
    fits = []
    for number, (site, of_site) in enumerate(zip(sites, rows.unbind(0), strict=True)):
        share = 0.3 + 0.7 * number / len(sites)
        report_progress(f"fitting, {site_label(site, model.cfg.n_layers)}", share, 1)
        fits.append(_fit(of_site, data, kind, l2, seed))
    return fits


def fit_words(data: ProbeData, l2: float, seed: int) -> ProbeFit:
    """The control that needs no model: a linear classifier of how often each token stood before."""
    return _fit(token_counts(data.examples), only_truth(data), "linear", l2, seed)


def _fit(x: Tensor, data: ProbeData, kind: Kind, l2: float, seed: int) -> ProbeFit:
    """One site: every task fitted on the training rows, scored on the test rows."""
    x, targets = x.to(torch.float32), data.targets

    def fit(train: Int[Tensor, " example"]) -> Linear | Mlp:
        if kind == "linear":
            return fit_linear(x[train], targets[:, train], len(data.classes), l2=l2)
        return fit_mlp(x[train], targets[:, train], len(data.classes), seed=seed)

    classifier = fit(data.train)
    predicted = classifier.predict(x)
    for fold in data.folds:
        predicted[:, fold] = fit(data.train[~torch.isin(data.train, fold)]).predict(x[fold])
    right = (predicted == targets).double()
    by_name = {
        name: torch.stack([right[i, data.test] for i, n in enumerate(data.names) if n == name])
        for name in dict.fromkeys(data.names)
    }
    return ProbeFit(
        classifier=classifier,
        validation=float(right[0, data.validation].mean()),
        right={name: draws.mean(0) for name, draws in by_name.items()},
        predicted=predicted[0, data.test],
    )


def scores(
    data: ProbeData,
    fits: list[ProbeFit],
    twins: list[list[ProbeFit]],
    seed: int,
    words: ProbeFit | None = None,
) -> dict:
    """Everything that is counted on the test stories.

    Args:
        data: with the split.
        fits: of each site.
        twins: of each untrained model, of each site.
        seed: of the resampling.
        words: of the tokens alone, which is the same beside every site.
    """
    within = data.groups[data.test]
    curves = {
        name: tuple(rate(fit.right[name], within, seed=seed) for fit in fits)
        for name in dict.fromkeys(data.names)
    }
    if twins:
        means = [
            torch.stack([fit.right["probe"] for fit in of]).mean(0)
            for of in zip(*twins, strict=True)
        ]
        curves["untrained"] = tuple(rate(mean, within, seed=seed) for mean in means)
    if words is not None:
        curves["bag_of_words"] = (rate(words.right["probe"], within, seed=seed),) * len(fits)
    truth = data.targets[0, data.test]
    commonest = data.targets[0, data.train].mode().values
    best = best_site(fits)
    return {
        "classes": data.classes,
        "best": best,
        "accuracy": curves.pop("probe"),
        "selectivity": _selectivity(fits, within, seed),
        "controls": curves,
        "majority": rate(truth == commonest, within, seed=seed),
        "confusion": _confusion(truth, fits[best].predicted, len(data.classes)),
        "n_train": len(data.train),
        "n_test": len(data.test),
    }


def best_site(fits: list[ProbeFit]) -> int:
    """By validation accuracy, the earliest of equals: the test stories have no say."""
    return max(range(len(fits)), key=lambda i: fits[i].validation)


def _selectivity(fits: list[ProbeFit], within: Tensor, seed: int) -> tuple[Interval, ...]:
    if "control_task" not in fits[0].right:
        return ()
    return tuple(
        paired_difference(fit.right["probe"], fit.right["control_task"], within, seed=seed)
        for fit in fits
    )


def _confusion(truth: Tensor, predicted: Tensor, classes: int) -> Int[Tensor, "class class"]:
    cells = torch.bincount(truth * classes + predicted, minlength=classes**2)
    return rearrange(cells, "(truth predicted) -> truth predicted", truth=classes)


def weights(fits: list[ProbeFit], d_model: int) -> dict[str, Tensor]:
    """The linear classifiers, and a unit direction a class at the best site."""
    if isinstance(fits[0].classifier, Mlp):
        empty = torch.zeros(0, d_model)
        return {"weight": empty[None], "bias": torch.zeros(1, 0), "directions": empty}
    weight = torch.stack([fit.classifier.weight[0] for fit in fits])
    return {
        "weight": weight,
        "bias": torch.stack([fit.classifier.bias[0] for fit in fits]),
        "directions": class_directions(weight[best_site(fits)]),
    }
