"""Can a variable be read from the activations, better than from what proves nothing?

That a variable can be read does not show that it is used: `state_edit` asks that. Stories that
begin alike count as one group, because a causal model gives equal beginnings equal activations, so
that a split by story would leak.

Control: shuffled labels; a control task (an arbitrary label for each fact, or for each word where a
fact is about nobody: what memory alone can do); untrained models; the majority. An arbitrary label
for each person would be no control where a question has just named the person: it can be read off
the name at every layer. `beats_controls` asks that the interval lies above every one of them, and
the caption warns when it does not. Labels of your own have a bag of words beside them too, which
needs no model: where it does as well, the caption says so.

Units: accuracy in [0, 1] with its interval over groups. The site is chosen on validation stories,
the accuracy comes from others.

    interp run probe --world stories --variable place --html place.html
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from jaxtyping import Float, Int
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
from interp.core.statistics.intervals import Interval, plain
from interp.methods.activations import reading_examples, residual_sites, site_label
from interp.methods.data.examples import At, Example, file_examples, sample_stories, world_examples
from interp.methods.probes.classifier import HIDDEN, L2, MLP_STEPS, fit_operations
from interp.methods.probes.probing import (
    Kind,
    ProbeData,
    fit_sites,
    fit_words,
    only_truth,
    prepare,
    scores,
    weights,
)
from interp.methods.untrained import untrained_twins
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.worlds.world import World, check_name


@dataclass(frozen=True, kw_only=True)
class Probe(Result):
    """Held-out accuracy of a classifier at each site, beside the controls that it must beat.

    Attributes:
        variable: what was read.
        at: at which positions (`asked`, `stated`, `state`; `file` for a labelled file).
        kind: `linear` or `mlp`.
        classes: values of the variable, in the order of all class axes.
        sites: the sites in words, in the order of all layer axes.
        best: the site with the best *validation* accuracy; the test stories had no say in it.
        accuracy: on test stories, a site each, with its interval over stories.
        controls: accuracy by control, a site each: `shuffled` (labels shuffled), `control_task`
            (an arbitrary label for each entity or word: what memory alone can do) and `untrained`
            (the mean of several untrained models); for labels of your own `bag_of_words` too (a
            classifier of the tokens so far, the same at every site). A control that cannot be had
            is not here.
        majority: accuracy of always answering the commonest value of the training stories.
        selectivity: accuracy - control task, a site each, paired over the same examples.
        weight: weights of the linear classifiers, in the site's own units; empty for an MLP.
        bias: biases of the linear classifiers; empty for an MLP.
        directions: a unit vector a class at the best site: its weights less the classes' mean.
        confusion: test examples at the best site, true class by predicted class.
        n_train: training examples.
        n_test: test examples.
        folds: of the cross-validation; 0 = one split into training and test.
    """

    variable: str
    at: str
    kind: str
    classes: tuple[str, ...]
    sites: tuple[str, ...]
    best: int
    accuracy: tuple[Interval, ...]
    controls: dict[str, tuple[Interval, ...]]
    majority: Interval
    selectivity: tuple[Interval, ...]
    weight: Float[Tensor, "layer class d_model"]
    bias: Float[Tensor, "layer class"]
    directions: Float[Tensor, "class d_model"]
    confusion: Int[Tensor, "class class"]
    n_train: int
    n_test: int
    folds: int = 0
    columns: ClassVar = {
        "accuracy": "accuracy",
        "control": "controls",
        "majority": "majority",
        "selectivity": "selectivity",
    }
    axes: ClassVar = {"accuracy": "layer", "controls": "control layer", "selectivity": "layer"}
    labels: ClassVar = {"layer": ("layer", "sites")}

    @property
    def strongest(self) -> dict[str, Interval]:
        """What each control reaches: at the best site; the untrained model at its own best one."""
        return strongest_controls(self.controls, self.best) | {"majority": self.majority}

    @property
    def unbeaten(self) -> tuple[str, ...]:
        """Controls whose interval the probe's does not lie above (the words apart)."""
        return unbeaten_controls(self.accuracy[self.best], self.strongest)

    @property
    def beats_controls(self) -> bool:
        """Whether it lies above every control, the untrained model among them."""
        return not self.unbeaten and "untrained" in self.controls

    def finding(self) -> str:
        accuracy = self.accuracy[self.best]
        controls = ", ".join(
            f"{CONTROLS.get(name, name)} {i.value:.2f}" for name, i in self.strongest.items()
        )
        return (
            f"{self.variable} ({self.at}), {self.kind} probe, {self.sites[self.best]}: "
            f"{plain(accuracy)} ({controls}; n = {accuracy.n})"
        )

    def caption(self) -> str:
        tested = f"{self.n_test} examples; trained on {self.n_train}"
        if self.folds:
            tested = (
                f"{self.n_test} examples, each predicted by a probe of the other parts "
                f"({self.folds}-fold cross-validation)"
            )
        return (
            f"Accuracy of a {self.kind} probe for '{self.variable}' {_READ[self.at]}, by site. "
            f"{self.finding()}. Bands: 95 % bootstrap intervals over {self.majority.n} test groups "
            f"(a story, and every story that begins alike), {tested}; the site was chosen on "
            f"other stories. {verdict(self.unbeaten, self.controls)}"
            f"{words_hint(self.accuracy[self.best], self.controls, 'accuracy')}"
        )


_READ = {
    "asked": "at the token just before a question's answer",
    "stated": "at the token that states it",
    "state": "at the ends of sentences",
    "file": "at the labelled positions",
}


def probe(
    model: LanguageModel,
    world: World | None = None,
    variable: str = "",
    *,
    labels: str | Path | None = None,
    at: At = "asked",
    about: str | None = None,
    sites: str | Sequence[Name] = "resid_post",
    kind: Kind = "linear",
    n_stories: int = 1000,
    max_examples: int = 2000,
    level: str = "full",
    split_name: str = "held_out",
    n_untrained: int = 3,
    folds: int = 0,
    l2: float = L2,
    seed: int = 0,
) -> Probe:
    """Train a classifier for a variable at every site, with controls; test it on new stories.

    Train, validation and test (60, 15 and 25 %) share no story and no beginning: texts that begin
    alike have equal activations in a causal model, so they count as one group throughout.

    Args:
        model: to look into.
        world: whose truth labels the stories. Give this or `labels`.
        variable: as the world names it, `place` say; for a file only a name for the figure.
        labels: a table of your own, CSV or JSON lines, with `text` and `label`; perhaps `word`, or
            `start` and `end` (characters), at whose last token it is read, else at the text's last;
            perhaps `group`, whose rows are never parted. See `interp.methods.data.labelled_table`.
        at: where to read. `asked`: the token just before a question's answer. `stated`: the last
            token of the words that say it. `state`: the last token of each sentence's end.
        about: keep facts about this entity only.
        sites: a short hook name, read at every layer (`resid_post` adds the embedding), or a list.
        kind: `linear` (multinomial logistic) or `mlp` (one hidden layer of 64).
        n_stories: how many stories to sample.
        max_examples: stop at so many examples, at the end of a story.
        level: of the world's difficulty.
        split_name: the world's split the stories come from.
        n_untrained: untrained models to compare with.
        folds: for small tables, 2 or more: cross-validation of all but the 15 % that choose the
            site, which tests three times as many examples (the interval is about half as wide).
        l2: penalty of the linear probe, on standardised activations.
        seed: of stories, split, shuffles and untrained models.
    Returns:
        Probe: accuracy and controls by site, weights and class directions.
    Raises:
        ConfigError: neither or both of world and labels; an unknown variable, level or kind; one
            fold.
        NotEnoughDataError: too few examples or classes to train and test.
        HookNameError: a site matches no hook point.
    Example:
        >>> probe(model, world, "place", at="asked").beats_controls  # doctest: +SKIP
        True
    Source:
        Alain & Bengio 2016; Hewitt & Liang 2019 (control tasks). Differs: the control task labels
        facts (whom, what) where they label word types, and an untrained model is a control too.
    """
    call = dict(locals())
    chosen = residual_sites(model, sites) if isinstance(sites, str) else list(sites)
    report_progress("gathering the examples", 0, 1)
    examples = _examples(model, call)
    known = () if world is None else tuple(world.variables[variable])
    data = prepare(examples, known, seed, folds)
    _announce(model, data, chosen, call)
    with progress_range(0.1, 0.6 if n_untrained else 1.0, "this model: "):
        fits = fit_sites(model, data, chosen, kind, l2, seed)
    one_task, twins = only_truth(data), []
    for number, twin in enumerate(untrained_twins(model, n_untrained, seed)):
        begins = 0.6 + 0.4 * number / n_untrained
        with progress_range(begins, begins + 0.4 / n_untrained, f"untrained model {number + 1}: "):
            twins.append(fit_sites(twin, one_task, chosen, kind, l2, seed))
    report_progress("counting", 1, 1)
    hooks = tuple(f"{site[0]} {site[1]}" if isinstance(site, tuple) else site for site in chosen)
    return Probe(
        variable=variable or "label",
        at="file" if labels else at,
        kind=kind,
        sites=tuple(site_label(site, model.cfg.n_layers) for site in chosen),
        folds=folds,
        **scores(data, fits, twins, seed, fit_words(data, l2, seed) if labels else None),
        **weights(fits, model.cfg.d_model),
        provenance=provenance(probe, call, hooks=hooks),
    )


def _announce(
    model: LanguageModel, data: ProbeData, sites: Sequence[Name], call: dict[str, Any]
) -> None:
    twins = call["n_untrained"]
    # An untrained model has one task, the truth.
    tasks = len(data.targets) + twins
    sizes = len(data.train), model.cfg.d_model, tasks
    if call["kind"] == "linear":
        once = fit_operations(*sizes, len(data.classes))
    else:
        once = math.prod(sizes) * 6 * HIDDEN * MLP_STEPS
    announce(
        model,
        reading_examples(model, data.examples, sites, times=1 + twins),
        draws=twins,
        operations=len(sites) * (1 + len(data.folds)) * once,
        copies=min(twins, 2),
        kept=len(sites) * len(data.examples) * model.cfg.d_model,
        smaller="Take fewer examples, sites or untrained models (max_examples=, sites=, "
        "n_untrained=).",
    )


def _examples(model: LanguageModel, call: dict) -> list[Example]:
    """The examples that the call asks for, cut at `max_examples` at a story's end."""
    world, labels, variable = call["world"], call["labels"], call["variable"]
    if (world is None) == (labels is None):
        raise ConfigError("A probe needs a world, or a file of labels, and not both.")
    if call["kind"] not in ("linear", "mlp"):
        raise ConfigError(f"A probe needs kind 'linear' or 'mlp'; got {call['kind']!r}.")
    if call["folds"] < 0 or call["folds"] == 1:
        raise ConfigError(
            f"Cross-validation needs 2 folds or more, or 0 for one split; got {call['folds']}."
        )
    longest = model.cfg.n_ctx
    if labels is not None:
        examples = file_examples(model.tokenizer, labels, max_tokens=longest)
    else:
        check_name(world.name, "variable", variable, world.variables)
        options = {"seed": call["seed"], "level": call["level"], "split": call["split_name"]}
        stories = sample_stories(world, call["n_stories"], **options)
        where = {"at": call["at"], "about": call["about"], "max_tokens": longest}
        examples = world_examples(model.tokenizer, stories, variable, **where)
    cut = call["max_examples"]
    return [e for e in examples if len(examples) <= cut or e.story < examples[cut].story]
