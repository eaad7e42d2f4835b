"""The checkpoints that an instrument over training time looks at."""

from collections.abc import Callable, Iterator, Sequence
from interp.core.errors import ModelMismatchError, NotEnoughDataError
from interp.core.protocols import LanguageModel
from interp.worlds.world import Story

import math
from collections.abc import Mapping, Sequence

from interp.core.errors import ConfigError, NotEnoughDataError
from interp.core.protocols import LanguageModel


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


FEWEST = 3
Opened = tuple[int, int, Callable[[], LanguageModel]]


def checkpoints(models: Sequence[LanguageModel], steps: Sequence[int], most: int) -> list[Opened]:
    """Number of the model, step, and a way to open it, so that one is held at a time.

    Args:
        models: each opened from a run, or a point by itself.
        steps: of each run; none = all.
        most: at most so many a run.
    Raises:
        NotEnoughDataError: fewer than three in all.
        ConfigError: a step that a run does not have.
    """
    found = [
        (number, step, make)
        for number, each in enumerate(models)
        for step, make in _of_one(each, steps, most)
    ]
    if len(found) < FEWEST:
        raise NotEnoughDataError(
            f"A rank correlation needs {FEWEST} checkpoints or models; {len(found)} came. "
            "Open a run's folder, or give other models as `models`."
        )
    return found


def _of_one(
    model: LanguageModel, steps: Sequence[int], most: int
) -> Iterator[tuple[int, Callable[[], LanguageModel]]]:
    if len(getattr(model, "history", None) or ()) < 2:
        yield (-1 if model.step is None else model.step), lambda: model
        return
    history = history_of(model)
    for step in chosen_steps(model, steps, most):
        yield step, lambda step=step: history[step]


def ids_of(model: LanguageModel, stories: Sequence[Story]) -> tuple[tuple[int, ...], ...]:
    """The stories as this model's tokens."""
    return tuple(tuple(model.tokenizer.encode(story.text)) for story in stories)


def same_split(model: LanguageModel, first: LanguageModel, stories: Sequence[Story]) -> None:
    """Refuse models that split text otherwise: a loss per token is then of something else.

    Raises:
        ModelMismatchError: they do.
    """
    texts = [story.text for story in stories]
    mine, theirs = ([m.tokenizer.encode_with_spans(t)[1] for t in texts] for m in (model, first))
    if mine != theirs:
        raise ModelMismatchError(
            f"Losses per token compare only where text is split alike; {model.name} splits it "
            f"otherwise than {first.name}. Compare models of one tokenizer."
        )
