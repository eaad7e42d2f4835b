"""`metrics.jsonl`: one JSON object a line, appended; cut back to the step a run resumes from."""

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from interp.core.files import write_text
from interp.runs.metrics import read_metrics
from interp.training.run.write_errors import naming_refusals

MetricsRecord = Mapping[str, Any]
Writer = Callable[[MetricsRecord], None]


class MetricsLog:
    """Appends records to a run's `metrics.jsonl` and hands them to further writers.

    Every record has a `kind` and the number of updates done, `step`:
        train  loss_nats_per_token (plain mean over counted tokens), objective_nats (weighted mean:
               what is minimized), learning_rate_scale, grad_norm before clipping, stage
        eval   loss_nats_per_token and _per_byte on the fixed held-out slice; floor_ and
               regret_nats_per_token where the corpus knows its floor; tokens, bytes (UTF-8)
        speed  seconds and cpu_seconds of this process, tokens_per_second since the last record

    Args:
        path: the file to append to.
        writers: called with each record; for TensorBoard and the like.
    """

    def __init__(self, path: Path, writers: Iterable[Writer] = ()) -> None:
        self.path = path
        self.writers = tuple(writers)

    def append(self, records: Iterable[MetricsRecord]) -> None:
        """Write records and wait until they are on the disk.

        Raises:
            TrainingError: the disk is full or refuses.
        """
        records = list(records)
        lines = "".join(json.dumps(record) + "\n" for record in records)
        with naming_refusals("run's measurements", self.path.parent), self.path.open("ab") as file:
            file.write(lines.encode())
            file.flush()
            os.fsync(file.fileno())
        for writer in self.writers:
            for record in records:
                writer(record)

    def cut_back(self, step: int) -> None:
        """Drop every record made after `step` updates, and a half-written last line."""
        kept = [r for r in read_metrics(self.path) if r["step"] <= step] if step else []
        with naming_refusals("run's measurements", self.path.parent):
            write_text(self.path, "".join(json.dumps(record) + "\n" for record in kept))


def finite_or_none(value: float) -> float | None:
    """The number, or None (JSON has no infinity) where it is not finite."""
    return value if math.isfinite(value) else None
