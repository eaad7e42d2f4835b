"""What the batches are drawn from, step by step: a pure function of the step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from interp.core.errors import ConfigError, near_misses
from interp.training.fields import Count, Range, check_fields


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stretch of training steps that draws from the same mixture of levels.

    Attributes:
        steps: how many steps it lasts; None = to the end of the run (last stage only).
        mix: a level of the corpus to its share of the rows; shares need not sum to 1. Empty = every
            level of the corpus, by its number of tokens.
    """

    steps: Count | None = None
    mix: Mapping[str, Annotated[float, Range(0, 1e9)]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.mix and sum(self.mix.values()) <= 0:
            raise ConfigError(f"A stage needs one share above 0 in its mix; got {dict(self.mix)}.")

    def to_dict(self) -> dict[str, Any]:
        """As JSON objects hold it."""
        return {"steps": self.steps, "mix": dict(self.mix)}


def check_stages(stages: Sequence[Stage]) -> None:
    """Refuse a list of stages in which one could never be reached.

    Raises:
        ConfigError: a stage without an end stands before another one.
    """
    for index, stage in enumerate(stages[:-1]):
        if stage.steps is None:
            raise ConfigError(
                f"Stage {index} has no end (steps=None), so the {len(stages) - index - 1} after it "
                f"would never start: give it a number of steps."
            )


def stage_at(stages: Sequence[Stage], step: int) -> tuple[int, Stage]:
    """The stage that step number `step` (0 = the first update) draws from; the last one goes on.

    Args:
        stages: the stages in order, at least one.
        step: number of the update, counted from 0.
    Returns:
        The stage's number and the stage.

    Example:
        >>> stages = [Stage(steps=10), Stage()]
        >>> [stage_at(stages, step)[0] for step in (0, 9, 10, 999)]
        [0, 0, 1, 1]
    """
    end = 0
    for index, stage in enumerate(stages):
        end += stage.steps or 0
        if stage.steps is None or step < end:
            return index, stage
    return len(stages) - 1, stages[-1]


def shares(stage: Stage, tokens: Mapping[str, int]) -> dict[str, float]:
    """The stage's mixture as probabilities over the corpus' levels, in the corpus' order.

    Args:
        stage: the stage whose mixture is wanted.
        tokens: number of tokens of every level of the corpus.
    Raises:
        ConfigError: the mixture names a level that the corpus does not have.

    Example:
        >>> shares(Stage(mix={"b": 3, "a": 1}), {"a": 10, "b": 10})
        {'a': 0.25, 'b': 0.75}
    """
    for level in stage.mix:
        if level not in tokens:
            raise ConfigError(f"The corpus has no level {level!r}.{near_misses(level, tokens)}")
    weights = stage.mix or tokens
    total = sum(weights.values())
    return {level: weights[level] / total for level in tokens if weights.get(level)}
