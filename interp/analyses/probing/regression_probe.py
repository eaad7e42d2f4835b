"""Can a number be read from the activations, better than from what proves nothing?

The labels are real numbers in a table of your own (a rating, a year, a belief), read by ridge
regression at every site; `probe` reads classes. That a number can be read does not show that it is
used.

Control: shuffled labels, untrained models, and a bag of words, which needs no model. A guess of the
mean has R² 0. `beats_controls` asks that the interval lies above shuffled labels, untrained models
and 0; the caption warns when it does not.

Units: R² = 1 - squared error / squared distance from the mean, at most 1, below 0 where the mean
is the better guess; its interval is over groups. All rows but the 15 % that choose the site are
cross-validated: each is predicted by a regression on other groups.

    interp run regression_probe --labels ratings.csv
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from interp.analyses.probing._controls import (
    CONTROLS,
    strongest_controls,
    unbeaten_controls,
    verdict,
    words_hint,
)
from interp.core.cost import announce
from interp.core.errors import ConfigError
from interp.core.hooks import Name
from interp.core.progress import progress_range, report_progress
from interp.core.protocols import LanguageModel
from interp.core.statistics.intervals import Interval, bootstrap_ratio, plain
from interp.methods.activations import reading_examples, residual_sites, rows_at, site_label
from interp.methods.data.examples import file_examples
from interp.methods.probes.classifier import L2
from interp.methods.probes.directions import token_counts
from interp.methods.probes.regression import RegressionData, RegressionFit, fit_numbers, numbers_of
from interp.methods.untrained import untrained_twins
from interp.results.provenance import provenance
from interp.results.result import Result

MEAN = "the mean"


@dataclass(frozen=True, kw_only=True)
class RegressionProbe(Result):
    """Cross-validated R² of a ridge regression at each site, beside its controls.

    Attributes:
        variable: what was read.
        sites: the sites in words, in the order of all layer axes.
        best: the site with the best R² on the validation rows, which are in no other number.
        r2: R² at each site, with its interval over groups.
        controls: R² by control, a site each: `shuffled` (labels shuffled), `untrained` (the mean of
            several untrained models) and `bag_of_words` (of the tokens so far, the same at every
            site). A control that cannot be had is not here.
        weight: of the regression on all rows but the validation ones, in the site's own units.
        bias: of the same.
        numbers: the labels of the rows that were tested.
        predicted: what the best site's regression says of each, fitted without it.
        folds: parts of the cross-validation.
    """

    variable: str
    sites: tuple[str, ...]
    best: int
    r2: tuple[Interval, ...]
    controls: dict[str, tuple[Interval, ...]]
    weight: Float[Tensor, "layer d_model"]
    bias: Float[Tensor, " layer"]
    numbers: Float[Tensor, " example"]
    predicted: Float[Tensor, " example"]
    folds: int
    columns: ClassVar = {"r2": "r2", "control": "controls"}
    axes: ClassVar = {"r2": "layer", "controls": "control layer"}
    labels: ClassVar = {"layer": ("layer", "sites")}

    @property
    def unbeaten(self) -> tuple[str, ...]:
        """Controls whose interval the R² does not lie above; `the mean` where it reaches 0."""
        r2 = self.r2[self.best]
        unbeaten = unbeaten_controls(r2, strongest_controls(self.controls, self.best))
        return unbeaten if r2.low > 0 else (*unbeaten, MEAN)

    @property
    def beats_controls(self) -> bool:
        """Whether it lies above every control, the untrained model among them."""
        return not self.unbeaten and "untrained" in self.controls

    def finding(self) -> str:
        r2 = self.r2[self.best]
        strongest = strongest_controls(self.controls, self.best)
        controls = ", ".join(f"{CONTROLS[name]} {i.value:.2f}" for name, i in strongest.items())
        return (
            f"{self.variable}, ridge regression, {self.sites[self.best]}: R² {plain(r2)} "
            f"({controls}; n = {r2.n} groups)"
        )

    def caption(self) -> str:
        return (
            f"R² of a ridge regression (not a classifier) for '{self.variable}' at the labelled "
            f"positions, by site. {self.finding()}. Bands: 95 % bootstrap intervals over "
            f"{self.r2[0].n} groups (a text, and every text that begins alike), "
            f"{len(self.numbers)} rows, each predicted by a regression on the other parts "
            f"({self.folds}-fold cross-validation); the site was chosen on other rows. 0 = the "
            f"mean does as well. {verdict(self.unbeaten, self.controls)}"
            f"{words_hint(self.r2[self.best], self.controls, 'R²')}"
        )


def regression_probe(
    model: LanguageModel,
    labels: str | Path,
    *,
    variable: str = "number",
    sites: str | Sequence[Name] = "resid_post",
    folds: int = 5,
    n_untrained: int = 3,
    l2: float = L2,
    seed: int = 0,
) -> RegressionProbe:
    """Read a real number from every site by cross-validated ridge regression, with controls.

    Validation rows and folds share no text, no group and no beginning.

    Args:
        model: to look into.
        labels: a table of your own, CSV or JSON lines, with `text` and `label`, a number; perhaps
            `word`, or `start` and `end`, and `group`. See `interp.methods.data.labelled_table`.
        variable: a name for sentences and the figure.
        sites: a short hook name, read at every layer (`resid_post` adds the embedding), or a list.
        folds: parts of the cross-validation, 2 or more.
        n_untrained: untrained models to compare with.
        l2: penalty, on standardised activations.
        seed: of split, shuffles and untrained models.
    Returns:
        RegressionProbe: R² and controls by site, weights, and what was predicted.
    Raises:
        ConfigError: one fold, or a label that is no number; the row is named.
        NotEnoughDataError: under 40 rows, all of one number, or too few groups.
        TokenError: a text that the model cannot read; the row is named.
        HookNameError: a site matches no hook point.
    Example:
        >>> regression_probe(model, "ratings.csv").beats_controls  # doctest: +SKIP
        True
    Source:
        Alain & Bengio 2016 (linear probes); Hoerl & Kennard 1970 (ridge). Differs: shuffled labels,
        untrained models and a bag of words stand beside it.
    """
    call = dict(locals())
    if folds < 2:
        raise ConfigError(f"A regression probe needs 2 folds or more; got {folds}.")
    chosen = residual_sites(model, sites) if isinstance(sites, str) else list(sites)
    report_progress("gathering the examples", 0, 1)
    examples = file_examples(model.tokenizer, labels, max_tokens=model.cfg.n_ctx, numeric=True)
    data = numbers_of(examples, folds, seed)
    _announce(model, data, chosen, n_untrained)
    share = 1 / (1 + n_untrained)
    with progress_range(0.0, share, "this model: "):
        fits = _fits(model, data, chosen, l2)
    twins = []
    for number, twin in enumerate(untrained_twins(model, n_untrained, seed), start=1):
        with progress_range(number * share, (number + 1) * share, f"untrained model {number}: "):
            twins.append(_fits(twin, data, chosen, l2))
    words = fit_numbers(token_counts(examples), data, l2)
    best = max(range(len(fits)), key=lambda i: fits[i].validation)
    report_progress("counting", 1, 1)
    return RegressionProbe(
        variable=variable,
        sites=tuple(site_label(site, model.cfg.n_layers) for site in chosen),
        best=best,
        r2=tuple(_r2(fit.errors["probe"], data, seed) for fit in fits),
        controls=_controls(data, fits, twins, words, seed),
        weight=torch.stack([fit.regression.weight[0] for fit in fits]),
        bias=torch.stack([fit.regression.bias[0] for fit in fits]),
        numbers=data.targets[0, data.tested],
        predicted=fits[best].predicted,
        folds=folds,
        provenance=provenance(
            regression_probe,
            call,
            hooks=tuple(f"{s[0]} {s[1]}" if isinstance(s, tuple) else s for s in chosen),
        ),
    )


def _announce(
    model: LanguageModel, data: RegressionData, sites: Sequence[Name], n_untrained: int
) -> None:
    n_rows, d_model, models = len(data.examples), model.cfg.d_model, 1 + n_untrained
    side = min(n_rows, d_model)
    announce(
        model,
        reading_examples(model, data.examples, sites, times=models),
        draws=n_untrained,
        # In double precision, which takes twice as long: X'X and its solution, each fold and all.
        operations=2 * models * len(sites) * (1 + len(data.folds)) * (2 * n_rows + side) * side**2,
        copies=min(n_untrained, 2),
        kept=3 * len(sites) * n_rows * d_model,
        smaller="Give fewer rows, or ask for fewer sites, folds or untrained models (sites=, "
        "folds=, n_untrained=).",
    )


def _fits(
    model: LanguageModel, data: RegressionData, sites: Sequence[Name], l2: float
) -> list[RegressionFit]:
    """Every site's regressions, from one reading of the texts."""
    fits = []
    for number, rows in enumerate(rows_at(model, data.examples, sites).unbind(0)):
        label = site_label(sites[number], model.cfg.n_layers)
        report_progress(f"fitting, {label}", number, len(sites))
        fits.append(fit_numbers(rows, data, l2))
    return fits


def _controls(
    data: RegressionData,
    fits: list[RegressionFit],
    twins: list[list[RegressionFit]],
    words: RegressionFit,
    seed: int,
) -> dict[str, tuple[Interval, ...]]:
    """R² of each control at each site."""
    controls = {"shuffled": tuple(_r2(fit.errors["shuffled"], data, seed) for fit in fits)}
    if twins:
        means = [
            torch.stack([fit.errors["probe"] for fit in of]).mean(0)
            for of in zip(*twins, strict=True)
        ]
        controls["untrained"] = tuple(_r2(errors, data, seed) for errors in means)
    return controls | {"bag_of_words": (_r2(words.errors["probe"], data, seed),) * len(fits)}


def _r2(errors: Float[Tensor, " example"], data: RegressionData, seed: int) -> Interval:
    """1 - squared error / squared distance from the mean, whole groups resampled."""
    numbers = data.targets[0, data.tested]
    spread = (numbers - numbers.mean()) ** 2
    share = bootstrap_ratio(errors, spread, data.groups[data.tested], seed=seed)
    return Interval(value=1 - share.value, low=1 - share.high, high=1 - share.low, n=share.n)
