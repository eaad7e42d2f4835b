"""A run as its files tell of it: how far, how fast, how well."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from interp.errors import CheckpointError
from interp.files import read_object
from interp.training.baselines import FILE
from interp.training.metrics import read_metrics

MOST_POINTS = 400
FLOOR = "floor_nats_per_token"
Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TrainingLog:
    """What a run has written so far.

    Attributes:
        recipe: as `run.json` has it; empty before the run has begun.
        train: a record an update.
        evaluations: on held-out text.
        speed: a record a reading.
        samples: texts, in order of steps.
        baselines: losses of guessing, by name.
    """

    recipe: Record
    train: list[Record]
    evaluations: list[Record]
    speed: list[Record]
    samples: list[Record]
    baselines: dict[str, float]

    @classmethod
    def read(cls, run: Path) -> "TrainingLog":
        """The log of a run's folder; what is not there yet is empty."""
        records = read_metrics(run / "metrics.jsonl")
        kinds = {kind: [r for r in records if r.get("kind") == kind] for kind in _KINDS}
        guesses = _object(run / FILE)
        return cls(
            recipe=_object(run / "run.json").get("recipe", {}),
            train=kinds["train"],
            evaluations=kinds["eval"],
            speed=kinds["speed"],
            samples=read_metrics(run / "samples.jsonl", "sample"),
            baselines={k: v for k, v in guesses.items() if isinstance(v, float)},
        )

    @property
    def step(self) -> int:
        """Updates done, as far as they were told."""
        return self.train[-1]["step"] if self.train else 0

    @property
    def steps(self) -> int:
        """Of the whole run; 0 when it has not begun."""
        return self.recipe.get("steps", 0)

    @property
    def newest(self) -> Record:
        """The newest evaluation."""
        return self.evaluations[-1] if self.evaluations else {}

    @property
    def tokens_per_second(self) -> float | None:
        """Since this session of the run began."""
        return self.speed[-1]["tokens_per_second"] if self.speed else None

    @property
    def seconds_left(self) -> float | None:
        """By the pace of this session."""
        if not self.steps or not self.tokens_per_second:
            return None
        tokens = self.recipe["batch_size"] * self.recipe["context"]
        return (self.steps - self.step) * tokens / self.tokens_per_second

    @property
    def levels(self) -> dict[str, float]:
        """What the loss is to be compared with, by name, in nats a token."""
        found = {"unigram": self.baselines.get("unigram_nats_per_token"),
                 "uniform": self.baselines.get("uniform_nats_per_token"),
                 "floor": self.newest.get(FLOOR)}  # fmt: skip
        return {name: value for name, value in found.items() if value is not None}

    def curve(self, field: str, *, log_x: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Steps and means of a number of the updates, in a bounded count of neighbouring groups."""
        return grouped(self.train, field, log_x)


def grouped(records: list[Record], field: str, log_x: bool) -> tuple[np.ndarray, np.ndarray]:
    """Steps and means of a field, in at most `MOST_POINTS` groups.

    Args:
        records: in order of steps.
        log_x: groups of equal length on a logarithmic axis.
    """
    values = np.array([_number(r.get(field)) for r in records])
    steps = np.array([float(r["step"]) for r in records])
    known = np.isfinite(values)
    values, steps = values[known], steps[known]
    if not len(values):
        return steps, values
    spaced = np.geomspace(1, len(values), MOST_POINTS) if log_x else None
    ends = np.linspace(1, len(values), MOST_POINTS) if spaced is None else spaced
    starts = np.unique(np.round(ends).astype(int)) - 1
    counts = np.diff([*starts, len(values)])
    return np.add.reduceat(steps, starts) / counts, np.add.reduceat(values, starts) / counts


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _object(path: Path) -> Record:
    try:
        return read_object(path)
    except CheckpointError:
        return {}


_KINDS = ("train", "eval", "speed")
