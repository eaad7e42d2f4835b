"""`interp models`: the shipped models, and the runs of this folder."""

from math import prod
from pathlib import Path
from typing import Any

import click

COLUMNS = ("name", "step", "parameters", "held-out loss", "regret", "weights", "folder")


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
def command(folders: tuple[Path, ...]) -> None:
    """List the shipped models and the runs in runs/.

    With FOLDERS, list the models and runs there instead.
    """
    from rich.console import Console
    from rich.table import Table

    from interp.cli.model_folders import model_folders

    rows = [row_of(folder) for folder in model_folders(folders)]
    if not rows:
        click.echo("There is no model here yet; train one with: interp demo")
        return
    table = Table(*COLUMNS, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    # Away from a terminal the table is not cut to a width.
    Console(width=None if Console().is_terminal else 200).print(table)


def row_of(folder: Path) -> tuple[str, ...]:
    """What the folder says of itself; `-` where it says nothing, or nothing that can be read."""
    from interp.core.errors import CheckpointError
    from interp.core.files import read_object
    from interp.runs.metrics import METRICS, read_metrics

    try:
        record = read_object(folder / "run.json")
    except CheckpointError:
        return (folder.name, "damaged", "-", "-", "-", "-", str(folder))
    evaluation = (read_metrics(folder / METRICS, "eval") or [{}])[-1]
    if record.get("model_hash") and evaluation.get("step") != record.get("step"):
        evaluation = {}  # of earlier weights than the model's
    return (
        folder.resolve().name,
        _step(record, evaluation),
        _parameters(folder),
        _nats(evaluation.get("loss_nats_per_token")),
        _nats(evaluation.get("regret_nats_per_token")),
        str(record.get("model_hash") or "-"),
        str(folder),
    )


def _step(record: dict[str, Any], evaluation: dict[str, Any]) -> str:
    """Steps done; of how many, where the run is not finished."""
    if record.get("model_hash"):
        return str(record.get("step", "-"))
    planned = record.get("recipe", {}).get("steps", "?")
    return f"{evaluation.get('step', 0)} of {planned}"


def _parameters(folder: Path) -> str:
    from interp.core.errors import CheckpointError
    from interp.core.files import safetensors_shapes

    files = [folder / "model.safetensors", *sorted(folder.glob("checkpoints/*/model.safetensors"))]
    weights = next((path for path in files if path.exists()), None)
    if weights is None:
        return "-"
    try:
        return f"{sum(map(prod, safetensors_shapes(weights).values())):,}"
    except CheckpointError:
        return "damaged"


def _nats(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
