"""What a run's folder tells of its size, its text and its loss, without opening a weight."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from interp.core.errors import CheckpointError, ConfigError, NotEnoughDataError
from interp.core.files import read_object, safetensors_shapes
from interp.runs.metrics import METRICS, is_number, read_metrics

SWEEP = "sweep.json"
SAME_FLOOR = 1e-3
"""Nats a token by which floors may differ: far less than losses of two seeds do."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The size of a run, its text and its loss.

    Attributes:
        name: name of its folder.
        parameters: how many the model has.
        tokens: predicted tokens trained on; a token that was read twice counts twice.
        loss: the held-out loss after the last step, nats a token; nan where it is not finite.
        floor: the world's exact entropy on the same tokens; nan where it is not known.
        corpus: hash of the text.
    """

    name: str
    parameters: int
    tokens: int
    loss: float
    floor: float
    corpus: str


def read_runs(folders: Sequence[str | Path]) -> list[RunRecord]:
    """The runs of these folders; a sweep's folder stands for all its finished runs.

    Raises:
        CheckpointError: a folder is no run or sweep, or its record is damaged.
        NotEnoughDataError: a run has no held-out loss yet.
        ConfigError: the runs read different text, or were measured on different rows of it, so
            their losses cannot be compared.
    """
    places = [place for folder in folders for place in _runs_in(Path(folder))]
    runs = [_read(place) for place in dict.fromkeys(path.resolve() for path in places)]
    texts = {run.corpus for run in runs}
    if len(texts) > 1:
        raise ConfigError(
            f"Losses can be compared on one text only; these {len(runs)} runs read {len(texts)} "
            "different ones. Give the runs of one sweep."
        )
    floors = [run.floor for run in runs if not math.isnan(run.floor)]
    # The floor is of the very tokens that were measured: another one is that of other rows.
    if floors and max(floors) - min(floors) > SAME_FLOOR:
        raise ConfigError(
            "Losses can be compared on the same rows of a text only; the exact floors of the rows "
            f"that these {len(runs)} runs were measured on lie from {min(floors):.4f} to "
            f"{max(floors):.4f} nats a token. Runs of an earlier version, or with another context "
            "or eval_tokens=, were measured on other rows: leave them out, or train them anew."
        )
    return runs


def record_of(folder: str | Path) -> Mapping[str, Any]:
    """The record of a run, with its `recipe` and `corpus`; empty when nothing is on record."""
    path = Path(folder) / "run.json"
    return read_object(path) if path.exists() else {}


def corpus_of(record: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Hash of a run's corpus, and where its text came from; empty where the record does not say."""
    corpus = record.get("corpus")
    corpus = corpus if isinstance(corpus, Mapping) else {}
    source = corpus.get("source")
    return str(corpus.get("hash", "")), source if isinstance(source, Mapping) else {}


def changed_values(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Every value on record that is another one now, in words.

    Example:
        >>> changed_values({"seed": 0, "world": "homes"}, {"seed": 1, "world": "homes", "steps": 5})
        ['seed was 0, now 1']
    """
    return [
        f"{name} was {before[name]!r}, now {value!r}"
        for name, value in now.items()
        if name in before and before[name] != value
    ]


def is_finished(folder: str | Path) -> bool:
    """Whether a run's folder holds its finished model."""
    return "model_hash" in record_of(folder)


def needs_training(folder: str | Path) -> bool:
    """Whether a run's folder holds no finished model on record, or a record that is damaged."""
    try:
        return not is_finished(folder)
    except CheckpointError:
        return True


def tokens_a_step(record: Mapping[str, Any]) -> int | None:
    """Predicted tokens of an update; None where the record does not tell."""
    recipe = record.get("recipe")
    recipe = recipe if isinstance(recipe, Mapping) else {}
    sizes = [recipe.get("batch_size"), recipe.get("context")]
    return prod(sizes) if all(isinstance(size, int) and size > 0 for size in sizes) else None


def _runs_in(folder: Path) -> list[Path]:
    if not (folder / SWEEP).exists():
        return [folder]
    return [path.parent for path in sorted(folder.glob("*/run.json")) if is_finished(path.parent)]


def _read(folder: Path) -> RunRecord:
    record = read_object(folder / "run.json")
    tokens, step = tokens_a_step(record), record.get("step")
    if tokens is None or not isinstance(step, int):
        raise CheckpointError(
            f"{folder / 'run.json'} needs the recipe and the step of a finished run; it lacks one. "
            "Train it to its end, or leave it out."
        )
    last = last_evaluation(folder, step)
    shapes = safetensors_shapes(folder / "model.safetensors")
    return RunRecord(
        name=folder.name,
        parameters=sum(map(prod, shapes.values())),
        tokens=tokens * step,
        loss=_number(last.get("loss_nats_per_token")),
        floor=_number(last.get("floor_nats_per_token")),
        corpus=corpus_of(record)[0],
    )


def last_evaluation(folder: str | Path, step: int) -> Mapping[str, Any]:
    """What a finished run measured on held-out text after its last step.

    Args:
        folder: the run's.
        step: the run's last step. An evaluation of an earlier one is of other weights.
    Raises:
        NotEnoughDataError: that evaluation is not on record.
    """
    evaluations = read_metrics(Path(folder) / METRICS, "eval")
    last = [record for record in evaluations if record["step"] == step]
    if not last:
        steps = max((record["step"] for record in evaluations), default=None)
        others = "none at all" if steps is None else f"none of it, the newest is of step {steps}"
        raise NotEnoughDataError(
            f"A run needs its held-out loss after its last step, {step}; {folder} has {others}. "
            "Copy its metrics.jsonl again, or train it in a new folder."
        )
    return last[-1]


def _number(value: Any) -> float:
    return float(value) if is_number(value) else math.nan
