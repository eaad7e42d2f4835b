"""What can be measured of every checkpoint: `measures/x.py` is the measure `x` by being there.

A file holds one `MEASURE`: its words, and a pure function from an evaluator (one checkpoint on the
evaluation set) to scores.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Literal

from interp.core.errors import ConfigError, near_misses
from interp.methods.checkpoints.evaluation_set import EvaluationSet, Evaluator
from interp.methods.checkpoints.measure_scores import Scores

Better = Literal["high", "low", ""]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Something that can be measured of every checkpoint.

    Attributes:
        title: the measure in words.
        unit: the unit of the measure's numbers.
        of: gives a checkpoint's scores by the names of the curves; `""` where there is one curve.
        applies: whether the evaluation set holds what the measure needs.
        better: which side is better, if either.
        control: what is drawn beside the curve at each checkpoint; empty when nothing is.
        is_share: whether the numbers are shares of questions or examples.
        place: the measure's place in lists.
    """

    title: str
    unit: str
    of: Callable[[Evaluator], Mapping[str, Scores]]
    applies: Callable[[EvaluationSet], bool]
    better: Better = ""
    control: str = ""
    is_share: bool = False
    place: int = 99


@cache
def measure_names() -> tuple[str, ...]:
    """Every measure, in the order of lists."""
    return tuple(sorted(_stems(), key=lambda name: (get_measure(name).place, name)))


def get_measure(name: str) -> Measure:
    """The measure of that name.

    Raises:
        ConfigError: there is none; the nearest names are shown.
    """
    if name not in _stems():
        raise ConfigError(f"No measure is called {name!r}.{near_misses(name, _stems())}")
    return import_module(f"{__name__}.{name}").MEASURE


@cache
def _stems() -> tuple[str, ...]:
    return tuple(p.stem for p in Path(__file__).parent.glob("*.py") if p.stem != "__init__")
