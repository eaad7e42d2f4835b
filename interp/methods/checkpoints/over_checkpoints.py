"""Measures of a run's checkpoints as curves; each checkpoint is measured once and kept."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from interp.core.cost import announce
from interp.core.errors import ConfigError
from interp.core.progress import progress_range, report_progress
from interp.core.protocols import LanguageModel
from interp.methods.activations import reading_examples, residual_sites
from interp.methods.batches import reading
from interp.methods.checkpoints.evaluation_set import HELD_OUT, EvaluationSet, Evaluator, Settings
from interp.methods.checkpoints.measure_cache import keep, known
from interp.methods.checkpoints.measure_scores import Curve, Scores, curve_of
from interp.methods.data.examples import sample_stories
from interp.methods.data.held_out import held_out_passages
from interp.methods.measures import get_measure, measure_names
from interp.methods.probes.classifier import fit_operations
from interp.methods.untrained import untrained_twins
from interp.runs.checkpoints import chosen_steps, history_of
from interp.worlds.world import Story, World

OF_HEADS, OF_PROBES = ("induction", "previous_token"), "probe_accuracy"
OF_WEIGHTS = ("distance", "rank")
"""Of an untrained model they say nothing that the first checkpoint does not."""
FRESH_SEED = 1_000
"""Far from the seeds of runs: the fresh model must not be the run's own first checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """A run's curves.

    Attributes:
        steps: the checkpoints' training steps.
        curves: a curve over these steps for each measure, or for each of its names.
        untrained: each curve's value in a fresh model of the same config, by label; left out where
            there is none.
        measured: how many measures of checkpoints were not known before.
    """

    steps: tuple[int, ...]
    curves: tuple[Curve, ...]
    untrained: Mapping[str, float]
    measured: int


def timeline(
    model: LanguageModel, world: World | None, settings: Settings, *, n_runs: int = 1
) -> Timeline:
    """Every chosen measure of every chosen checkpoint.

    Args:
        model: opened from a run.
        world: whose stories are read; None = the settings' own texts, or passages of the run's
            held-out text where that is still there, or the weights alone.
        settings: what is measured, and on what.
        n_runs: runs that are measured so, this one and those after it, for the estimate of cost.
    Raises:
        ConfigError: an unknown measure, step or level, or one that needs what was not given.
        NotEnoughDataError: under two checkpoints.
    """
    history, steps = history_of(model), chosen_steps(model, settings.steps, settings.most)
    folder = getattr(history, "folder", None)
    data = _evaluation_set(history[next(iter(history))], folder, world, settings)
    chosen = _chosen(data, settings.measures)
    _announce(model, data, chosen, n_runs * (len(steps) + 1))
    scores, fresh = [], 0
    share = 1 / (len(steps) + 1)
    for number, step in enumerate(steps):
        report_progress(f"step {step:,}", number * share, 1)
        with progress_range(number * share, (number + 1) * share, f"step {step:,}: "):
            own, new = _measured(history[step], data, chosen, folder)
        scores.append(own)
        fresh += new
    report_progress("an untrained model", 1 - share, 1)
    untrained: dict[str, float] = {}
    behavioural = [name for name in chosen if name not in OF_WEIGHTS]
    twin_seed = FRESH_SEED + settings.seed
    for twin in untrained_twins(data.first, 1, twin_seed) if behavioural else ():
        with progress_range(1 - share, 1.0, "an untrained model: "):
            own, new = _measured(twin, data, behavioural, folder)
        untrained = {c.label: float(c.values[0]) for c in _curves(behavioural, [own])}
        fresh += new
    curves = _curves(chosen, scores)
    return Timeline(steps=steps, curves=curves, untrained=untrained, measured=fresh)


def _announce(
    model: LanguageModel, data: EvaluationSet, chosen: Sequence[str], n_models: int
) -> None:
    """As if nothing was known before."""
    passes, operations, sites = [], 0.0, residual_sites(model)
    if data.encoded and not {*OF_HEADS, *OF_WEIGHTS, OF_PROBES}.issuperset(chosen):
        passes.append(reading(model, [ids for ids, _ in data.encoded], times=n_models))
    if data.repeated is not None and not set(OF_HEADS).isdisjoint(chosen):
        options = {"times": n_models, "cache": ["pattern"], "logits": False}
        passes.append(reading(model, data.repeated[0].tolist(), **options))
    if OF_PROBES in chosen:
        probes = data.probes.values()
        examples = [example for each in probes for example in each.examples]
        passes.append(reading_examples(model, examples, sites, times=n_models))
        d_model = model.cfg.d_model
        fits = [fit_operations(len(p.train), d_model, 2, len(p.classes)) for p in probes]
        operations = n_models * len(sites) * sum(fits)
    announce(
        model,
        *passes,
        operations=operations,
        draws=1,
        copies=1,
        smaller="Take fewer checkpoints, measures or stories (steps=, measures=, n_stories=, "
        "n_probed=).",
    )


def _evaluation_set(
    first: LanguageModel, folder: Path | None, world: World | None, settings: Settings
) -> EvaluationSet:
    texts, stories = settings.texts, []
    if world is None and not texts:
        texts = held_out_passages(first, folder, settings.n_stories)
    if texts:
        stories = [Story(text=text, facts=(), choices=()) for text in texts]
    elif world is not None:
        options = {"seed": settings.seed, "level": settings.level, "split": HELD_OUT}
        stories = sample_stories(world, settings.n_stories, **options)
    if len(stories) == 1 or settings.n_sequences < 2:
        raise ConfigError(
            "Intervals need two texts or more and two sequences or more; got "
            f"{len(stories)} texts and n_sequences = {settings.n_sequences}."
        )
    return EvaluationSet(first=first, world=world, stories=stories, settings=settings)


def _chosen(data: EvaluationSet, measures: Sequence[str]) -> list[str]:
    """The measures asked for; none = all that apply."""
    for name in measures:
        if not get_measure(name).applies(data):
            raise ConfigError(
                f"{name!r} cannot be measured here: it needs a world with such questions, "
                "variables or costs, or texts, or a context that holds it. Give `world=` or "
                "`texts=`, or leave this measure out."
            )
    if measures:
        return [name for name in measure_names() if name in measures]
    return [name for name in measure_names() if get_measure(name).applies(data)]


def _measured(
    model: LanguageModel, data: EvaluationSet, measures: Sequence[str], folder: Path | None
) -> tuple[dict[str, Mapping[str, Scores]], int]:
    """Each measure of one checkpoint, and how many of them were not known before."""
    evaluator, scores, fresh = Evaluator(model, data), {}, 0
    for name in measures:
        key = (model.hash, name, data.digest)
        curves = known(folder, key)
        if curves is None:
            curves = get_measure(name).of(evaluator)
            keep(folder, key, curves)
            fresh += 1
        scores[name] = curves
    return scores, fresh


def _curves(
    measures: Sequence[str], scores: Sequence[Mapping[str, Mapping[str, Scores]]]
) -> tuple[Curve, ...]:
    """The curves that every checkpoint has."""
    curves = []
    for measure in measures:
        for name in scores[-1][measure]:
            with suppress(KeyError):  # a kind of token may be too rare at one checkpoint
                curves.append(curve_of(measure, name, [own[measure][name] for own in scores]))
    return tuple(curves)
