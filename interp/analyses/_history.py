"""The checkpoints that an instrument over training time looks at."""

import math
from collections.abc import Mapping, Sequence

from interp.errors import ConfigError, NotEnoughDataError
from interp.protocols import LanguageModel


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
        steps: by name; none = all.
        most: how many at most; 0 = no bound.
    Raises:
        NotEnoughDataError: see `history_of`.
        ConfigError: a step that the run has no checkpoint of.
    """
    known = tuple(history_of(model))
    if foreign := sorted(set(steps) - set(known)):
        raise ConfigError(
            f"{model.name} has checkpoints of the steps {', '.join(map(str, known))}; "
            f"{', '.join(map(str, foreign))} were asked for."
        )
    wanted = tuple(sorted(set(steps))) or known
    return thinned(wanted, most) if most and len(wanted) > most else wanted


def thinned(steps: Sequence[int], most: int) -> tuple[int, ...]:
    """At most `most` of the steps (two or more), spread evenly over log(1 + step).

    Example:
        >>> thinned((0, 1, 2, 4, 8, 16, 32, 64), 4)
        (0, 4, 16, 64)
    """
    low, high = math.log1p(steps[0]), math.log1p(steps[-1])
    kept = {steps[0], steps[-1]}
    for i in range(1, most - 1):
        goal = low + (high - low) * i / (most - 1)
        kept.add(min(steps, key=lambda step: abs(math.log1p(step) - goal)))
    return tuple(sorted(kept))
