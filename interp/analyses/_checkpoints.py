"""Every checkpoint of several runs, and whether their models read the same tokens."""

from collections.abc import Callable, Iterator, Sequence

from interp.analyses._history import chosen_steps, history_of
from interp.errors import ModelMismatchError, NotEnoughDataError
from interp.protocols import LanguageModel
from interp.worlds.world import Story

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
