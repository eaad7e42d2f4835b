"""What can be measured of every checkpoint: `_measures/x.py` is the measure `x` by being there.

A file holds one `MEASURE`: its words, and a pure function from a look at a checkpoint to scores.
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
        title: in words.
        unit: of its numbers.
        of: a checkpoint's scores by the names of the curves; `""` where there is one curve.
        applies: whether there is what it needs.
        better: which way is better, if either.
        control: what stands beside it at each checkpoint; empty when nothing does.
        is_share: the numbers are shares of questions or examples.
        place: in lists.
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
    found = (path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")
    return tuple(sorted(found, key=lambda name: (get_measure(name).place, name)))


def get_measure(name: str) -> Measure:
    """The measure of that name.

    Raises:
        ConfigError: there is none; the nearest names are shown.
    """
    known = [p.stem for p in Path(__file__).parent.glob("*.py") if p.stem != "__init__"]
    if name not in known:
        raise ConfigError(f"No measure is called {name!r}.{near_misses(name, known)}")
    return import_module(f"{__name__}.{name}").MEASURE
