"""The checkpoints that an instrument over training time looks at."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from interp.core.errors import ConfigError, NotEnoughDataError
from interp.core.protocols import LanguageModel

FEWEST = 3
Opener = tuple[int, int, Callable[[], LanguageModel]]
"""Number of a model, step of its checkpoint, and what opens it."""


def history_of(model: LanguageModel) -> Mapping[int, LanguageModel]:
    """A run's checkpoints by step, in order.

    Raises:
        NotEnoughDataError: the model was not opened from a run with two checkpoints or more.
    """
    history = getattr(model, "history", None) or {}
    if len(history) < 2:
        raise NotEnoughDataError(
            f"Watching a model learn needs a run with two checkpoints or more; {model.name} has "
            f"{len(history)}. Open a run's folder, or the shipped model `stories-demo`."
        )
    return history


def chosen_steps(model: LanguageModel, steps: Sequence[int] = (), most: int = 0) -> tuple[int, ...]:
    """The steps to look at: those named, or all; at most `most`, log-spaced, with both ends.

    Args:
        model: opened from a run.
        steps: steps that must have a checkpoint each; none = all.
        most: how many at most; 0 = no bound.
    Raises:
        NotEnoughDataError: see `history_of`.
        ConfigError: a step that the run has no checkpoint of.
    """
    there = tuple(history_of(model))
    if foreign := sorted(set(steps) - set(there)):
        raise ConfigError(
            f"Steps need a checkpoint of {model.name}, which has {', '.join(map(str, there))}; got "
            f"{', '.join(map(str, foreign))}. Choose among them."
        )
    wanted = tuple(sorted(set(steps))) or there
    return thinned_steps(wanted, most) if most and len(wanted) > most else wanted


def checkpoints(models: Sequence[LanguageModel], steps: Sequence[int], most: int) -> list[Opener]:
    """Every checkpoint of several models with a way to open it, so that one is in memory at a time.

    Args:
        models: each opened from a run; a model without one counts as a checkpoint of its own.
        steps: steps of each run; none = all.
        most: checkpoints of each run at most, spread evenly over log step; 0 = no bound.
    Raises:
        NotEnoughDataError: fewer than three in all.
        ConfigError: a step that a run does not have.
    """
    openers = [
        (number, step, opener)
        for number, model in enumerate(models)
        for step, opener in _openers(model, steps, most)
    ]
    if len(openers) < FEWEST:
        raise NotEnoughDataError(
            f"A rank correlation needs {FEWEST} checkpoints or models; got {len(openers)}. "
            "Open a run's folder, or give other models as `models`."
        )
    return openers


def numbered_names(models: Sequence[LanguageModel]) -> tuple[str, ...]:
    """Each model's name, numbered where several share it."""
    names = [model.name for model in models]
    return tuple(
        name if names.count(name) == 1 else f"{name} ({names[: i + 1].count(name)})"
        for i, name in enumerate(names)
    )


def _openers(
    model: LanguageModel, steps: Sequence[int], most: int
) -> Iterator[tuple[int, Callable[[], LanguageModel]]]:
    if len(getattr(model, "history", None) or ()) < 2:
        yield (-1 if model.step is None else model.step), lambda: model
        return
    history = history_of(model)
    for step in chosen_steps(model, steps, most):
        yield step, lambda step=step: history[step]


def thinned_steps(steps: Sequence[int], most: int) -> tuple[int, ...]:
    """At most `most` of the steps (two or more), spread evenly over log(1 + step).

    Args:
        steps: training steps in order.
        most: how many at most; the first and the last always stay.

    Example:
        >>> thinned_steps((0, 1, 2, 4, 8, 16, 32, 64), 4)
        (0, 4, 16, 64)
    """
    low, high = math.log1p(steps[0]), math.log1p(steps[-1])
    kept = {steps[0], steps[-1]}
    for i in range(1, most - 1):
        goal = low + (high - low) * i / (most - 1)
        kept.add(min(steps, key=lambda step: abs(math.log1p(step) - goal)))
    return tuple(sorted(kept))
