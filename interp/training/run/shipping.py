"""A finished run made small enough to give away: model, a few checkpoints, curve, card."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from interp.core.errors import CheckpointError
from interp.core.files import read_object, write_json, write_text
from interp.models.io.checkpoint import checkpoint_steps, open_model, save_model, save_weights
from interp.runs.metrics import METRICS, read_metrics

KEPT_OF_RECORD = ("recipe", "seed", "corpus", "tokenizer")


def ship_run(
    run: str | Path,
    folder: str | Path,
    *,
    checkpoints: Sequence[int] = (),
    card: str | None = None,
    measures: Mapping[str, Any] | None = None,
) -> Path:
    """Copy what others need of a run: no optimizer, no corpus, bfloat16 checkpoints.

    Args:
        run: a finished run.
        folder: a new folder, or that of an older copy of the same run.
        checkpoints: steps whose checkpoints are copied.
        card: text of `README.md`.
        measures: measured values of the model, written to `card.json`.
    Raises:
        CheckpointError: the run has no such checkpoint, is not finished, or is damaged.
    """
    run, folder = Path(run), Path(folder)
    missing = sorted(set(checkpoints) - set(checkpoint_steps(run)))
    if missing:
        raise CheckpointError(
            f"{run} has no checkpoint of step {', '.join(map(str, missing))}; "
            f"it has {', '.join(map(str, checkpoint_steps(run)))}."
        )
    record = read_object(run / "run.json")
    kept = {name: record[name] for name in KEPT_OF_RECORD if name in record}
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "run.json", kept)
    save_model(open_model(run), folder, card=card)
    for step in checkpoints:
        weights = dict(open_model(run, step).named_parameters())
        save_weights(folder, step, weights, dtype=torch.bfloat16)
    evaluations = read_metrics(run / METRICS, "eval")
    write_text(folder / METRICS, "".join(json.dumps(r) + "\n" for r in evaluations))
    if measures is not None:
        write_json(folder / "card.json", dict(measures))
    return folder
