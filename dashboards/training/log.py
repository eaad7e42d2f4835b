"""A run as its files describe it: progress, speed, losses."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboards.page.model_list import Entry, records
from interp.core.errors import CheckpointError
from interp.runs.curves import TrainingCurves, curves_of
from interp.runs.metrics import METRICS, read_baselines

Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TrainingLog:
    """The records of a run so far.

    Attributes:
        recipe: of `run.json`; empty before the run has started.
        train: one record per update.
        evaluations: one record per evaluation on held-out text.
        speed: one record per measurement of the speed.
        samples: generated texts, in order of steps.
        baselines: losses of simple predictors by name, in nats per token.
    """

    recipe: Record
    train: list[Record]
    evaluations: list[Record]
    speed: list[Record]
    samples: list[Record]
    baselines: dict[str, float]

    @classmethod
    def read(cls, run: Path) -> "TrainingLog":
        """Read the folder of a run; what is not there yet is empty."""
        kinds: dict[str, list[Record]] = {"train": [], "eval": [], "speed": []}
        for record in records(run / METRICS):
            kinds.get(record.get("kind", ""), []).append(record)
        return cls(
            recipe=Entry(run.name, run).record.get("recipe", {}),
            train=kinds["train"],
            evaluations=kinds["eval"],
            speed=kinds["speed"],
            samples=records(run / "samples.jsonl", "sample"),
            baselines=_baselines(run),
        )

    @property
    def step(self) -> int:
        """Updates done, as far as they are on record."""
        return self.train[-1]["step"] if self.train else 0

    @property
    def steps(self) -> int:
        """Updates of the whole run; 0 before it has started."""
        return self.recipe.get("steps", 0)

    @property
    def newest(self) -> Record:
        """The newest evaluation."""
        return self.evaluations[-1] if self.evaluations else {}

    @property
    def tokens_per_second(self) -> float | None:
        """Speed since the run was last started or resumed."""
        return self.speed[-1]["tokens_per_second"] if self.speed else None

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the speed since the run was last started or resumed."""
        if not self.steps or not self.tokens_per_second:
            return None
        tokens = self.recipe["batch_size"] * self.recipe["context"]
        return (self.steps - self.step) * tokens / self.tokens_per_second

    @property
    def curves(self) -> TrainingCurves:
        """All curves of the run."""
        records = [*self.train, *self.evaluations, *self.speed]
        return curves_of(records, self.recipe, self.baselines)


def _baselines(run: Path) -> dict[str, float]:
    try:
        return read_baselines(run)
    except CheckpointError:
        return {}
