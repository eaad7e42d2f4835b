"""What a run writes down of its losses: `metrics.jsonl`, one JSON object a line, and the losses of
guessing, `baselines.json`. Read here by whoever looks at a run, while it goes on too."""

import json
import sys
from pathlib import Path
from typing import Any

from interp.core.errors import CheckpointError
from interp.core.files import read_object

METRICS, BASELINES = "metrics.jsonl", "baselines.json"
UNIT = "_nats_per_token"


def read_metrics(
    path: Path | str, kind: str | None = None, *, whole: bool = False
) -> list[dict[str, Any]]:
    """The records of a `metrics.jsonl`; lines that a crash left half written are passed over.

    Args:
        path: the file; a missing one has no records.
        kind: only records of this kind.
        whole: refuse a file in which more than the last line cannot be read.
    Raises:
        CheckpointError: `whole`, and the file is damaged.
    """
    path = Path(path)
    records = _records(path)
    if whole and None in records[:-1]:
        raise CheckpointError(
            f"Every line of {path} must be a JSON object with a step; line "
            f"{records.index(None) + 1} is none. Copy the run's folder again, or resume the run, "
            "which writes the file anew."
        )
    return [r for r in records if r is not None and kind in (None, r.get("kind"))]


def missing_losses(path: Path | str, step: int) -> str:
    """What a `metrics.jsonl` lacks of the updates up to a step, in a sentence; empty if nothing.

    A run writes down the training loss of every update before it saves a state. Lines after the
    step do not count: a crash may have cut them, and they are made again. A digit that changed
    inside a line is not seen.

    Args:
        path: the file.
        step: updates done.
    Raises:
        CheckpointError: there is something that is no file.
    """
    records = _records(Path(path))
    before = [i for i, r in enumerate(records) if r is not None and r["step"] <= step]
    n_damaged = records[: before[-1] if before else None].count(None)
    known = {records[i]["step"] for i in before if records[i].get("kind") == "train"}
    missing = [number for number in range(1, step + 1) if number not in known]
    lacks = []
    if missing:
        last = f"s {missing[0]} to {missing[-1]}" if len(missing) > 1 else f" {missing[0]}"
        lacks.append(f"no training loss of {len(missing)} of the {step} updates done (step{last})")
    if n_damaged:
        lacks.append(f"{n_damaged} line{'s' * (n_damaged > 1)} that cannot be read")
    if not lacks:
        return ""
    return (
        f"{path} has {', and '.join(lacks)}: curves of the run lack what was there, while the "
        "weights are those of a run without damage"
    )


def read_baselines(folder: Path | str) -> dict[str, float]:
    """The losses of guessing in a run's folder, nats a token, by name; empty when none is there.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = Path(folder) / BASELINES
    record = read_object(path) if path.exists() else {}
    losses = {name.removesuffix(UNIT): record[name] for name in record if name.endswith(UNIT)}
    for name, loss in losses.items():
        if not is_number(loss):
            raise CheckpointError(
                f"{path} needs a finite loss of every kind of guessing; {name} is {loss!r}. "
                "Remove the file: the run makes it again when it is resumed."
            )
    return {name: float(loss) for name, loss in losses.items()}


def is_number(value: object) -> bool:
    """Whether a value from a file is a finite number.

    Example:
        >>> [is_number(value) for value in (1, 0.5, float("nan"), None, True, "1")]
        [True, True, False, False, False, False]
    """
    fine = isinstance(value, int | float) and not isinstance(value, bool)
    return fine and abs(value) <= sys.float_info.max  # A whole number may be beyond any float.


def _records(path: Path) -> list[dict[str, Any] | None]:
    """Every line's record; None for a line that has none. A missing file has no lines."""
    return [_parse(line) for line in _lines(path)] if path.exists() else []


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", errors="replace").splitlines()
    except OSError as error:
        raise CheckpointError(
            f"The file {path} needs to be readable; it cannot be read ({error.strerror}). "
            "Check the path."
        ) from None


def _parse(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and type(record.get("step")) is int else None
