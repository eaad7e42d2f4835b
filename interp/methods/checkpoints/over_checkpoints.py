"""Measures of a run's checkpoints as curves; each checkpoint is measured once and kept."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from interp.core.errors import ConfigError
from interp.core.progress import report_progress
from interp.core.protocols import LanguageModel
from interp.methods.checkpoints.evaluation_set import HELD_OUT, EvaluationSet, Evaluator
from interp.methods.checkpoints.measure_cache import keep, known
from interp.methods.checkpoints.measure_scores import Curve, Scores, curve_of
from interp.methods.data.examples import sample_stories
from interp.methods.measures import get_measure, measure_names
from interp.methods.untrained import untrained_twins
from interp.runs.checkpoints import chosen_steps, history_of
from interp.worlds.world import Story, World

OF_WEIGHTS = ("distance", "rank")
"""Of an untrained model they say nothing that the first checkpoint does not."""
FRESH_SEED = 1_000
"""Far from the seeds of runs: the fresh model must not be the run's own first checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """A run's curves.

    Attributes:
        steps: of the checkpoints.
        curves: over these steps.
        untrained: by label, the value of a fresh model of the same config; left out where there
            is none.
        measured: how many measures of checkpoints were not known before.
    """

    steps: tuple[int, ...]
    curves: tuple[Curve, ...]
    untrained: Mapping[str, float]
    measured: int


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How checkpoints are measured; the words are `checkpoint_metrics`'s."""

    measures: Sequence[str] = ()
    texts: Sequence[str] = ()
    steps: Sequence[int] = ()
    most: int = 0
    n_stories: int = 128
    n_probed: int = 200
    n_sequences: int = 16
    level: str = "full"
    seed: int = 0


def timeline(model: LanguageModel, world: World | None, settings: Settings) -> Timeline:
    """Every chosen measure of every chosen checkpoint.

    Raises:
        ConfigError: an unknown measure, step or level, or one that needs what was not given.
        NotEnoughDataError: under two checkpoints.
    """
    history, steps = history_of(model), chosen_steps(model, settings.steps, settings.most)
    data = _evaluation_set(history[next(iter(history))], world, settings)
    chosen = _chosen(data, settings.measures)
    folder = getattr(history, "folder", None)
    found, fresh = [], 0
    for number, step in enumerate(steps):
        report_progress(f"step {step:,}", number, len(steps) + 1)
        scores, new = _measured(history[step], data, chosen, folder)
        found.append(scores)
        fresh += new
    report_progress("an untrained model", len(steps), len(steps) + 1)
    untrained: dict[str, float] = {}
    behavioural = [name for name in chosen if name not in OF_WEIGHTS]
    twin_seed = FRESH_SEED + settings.seed
    for twin in untrained_twins(data.first, 1, twin_seed) if behavioural else ():
        scores, new = _measured(twin, data, behavioural, folder)
        untrained = {c.label: float(c.values[0]) for c in _curves(behavioural, [scores])}
        fresh += new
    return Timeline(steps=steps, curves=_curves(chosen, found), untrained=untrained, measured=fresh)


def _evaluation_set(first: LanguageModel, world: World | None, settings: Settings) -> EvaluationSet:
    stories: list[Story] = []
    if settings.texts:
        stories = [Story(text=text, facts=(), choices=()) for text in settings.texts]
    elif world is not None:
        options = {"seed": settings.seed, "level": settings.level, "split": HELD_OUT}
        stories = sample_stories(world, settings.n_stories, **options)
    if len(stories) == 1 or settings.n_sequences < 2:
        raise ConfigError(
            "Intervals need two texts or more and two sequences or more; "
            f"{len(stories)} and {settings.n_sequences} came."
        )
    return EvaluationSet(
        first=first,
        world=world,
        stories=stories,
        n_probed=settings.n_probed,
        n_sequences=settings.n_sequences,
        level=settings.level,
        seed=settings.seed,
    )


def _chosen(data: EvaluationSet, measures: Sequence[str]) -> list[str]:
    """The measures asked for; none = all that apply."""
    for name in measures:
        if not get_measure(name).applies(data):
            raise ConfigError(
                f"{name!r} cannot be measured here: it needs a world with such questions, "
                "variables or costs, or texts, or a context that holds it. Give `world=` or "
                "`texts=`, or leave this measure out."
            )
    asked = dict.fromkeys(measures)
    return [
        name
        for name in measure_names()
        if name in asked or (not asked and get_measure(name).applies(data))
    ]


def _measured(
    model: LanguageModel, data: EvaluationSet, measures: Sequence[str], folder: Path | None
) -> tuple[dict[str, Mapping[str, Scores]], int]:
    """Each measure of one checkpoint, and how many of them were not known before."""
    evaluator, found, fresh = Evaluator(model, data), {}, 0
    for name in measures:
        there = known(folder, model.hash, name, data.digest)
        if there is None:
            there = get_measure(name).of(evaluator)
            keep(folder, model.hash, name, data.digest, there)
            fresh += 1
        found[name] = there
    return found, fresh


def _curves(
    measures: Sequence[str], found: Sequence[Mapping[str, Mapping[str, Scores]]]
) -> tuple[Curve, ...]:
    """The curves that every checkpoint has."""
    curves = []
    for measure in measures:
        for name in found[-1][measure]:
            with suppress(KeyError):
                curves.append(curve_of(measure, name, [each[measure][name] for each in found]))
    return tuple(curves)
