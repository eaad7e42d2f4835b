"""The models of this machine, from the records in their folders; no weights are read."""

import os
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from pathlib import Path
from typing import Any

from dashboards.launch import FOLDERS
from interp.core.errors import CheckpointError
from interp.core.files import read_object, safetensors_shapes
from interp.models.io.checkpoint import checkpoint_steps
from interp.models.io.load import SHIPPED
from interp.runs.metrics import METRICS, is_number, read_metrics

RUNS = Path("runs")
USUAL = (*SHIPPED, RUNS, Path("demo-run"))
FIRST = "stories-demo"
NEWEST = "newest"


@dataclass(frozen=True)
class Entry:
    """One model or run.

    Attributes:
        name: unique among the models shown.
        folder: its folder.
    """

    name: str
    folder: Path

    @cached_property
    def record(self) -> dict[str, Any]:
        """`run.json`; empty when it cannot be read."""
        try:
            return read_object(self.folder / "run.json")
        except CheckpointError:
            return {}

    @cached_property
    def steps(self) -> list[int]:
        """Steps of the checkpoints, in order."""
        return checkpoint_steps(self.folder)

    @property
    def step(self) -> int | None:
        """Step of the finished model, or of the newest checkpoint; None when there is neither."""
        said = self.record.get("step")
        last = self.steps[-1] if self.steps else None
        return said if isinstance(said, int) else last

    @property
    def is_finished(self) -> bool:
        """Whether the training is finished."""
        return "model_hash" in self.record

    @property
    def state(self) -> str:
        """Whether the run is `finished`, `in training`, or `damaged`."""
        return "finished" if self.is_finished else "in training" if self.record else "damaged"

    @property
    def world(self) -> str | None:
        """The world whose text it was trained on."""
        said: Any = self.record
        for name in ("corpus", "source", "world"):
            said = said.get(name) if isinstance(said, dict) else None
        return said if isinstance(said, str) else None

    @cached_property
    def evaluations(self) -> list[dict[str, Any]]:
        """Evaluations on held-out text, in order of steps; what is no number is left out."""
        return [
            {name: value for name, value in record.items() if is_number(value)}
            for record in records(self.folder / METRICS, "eval")
        ]

    @property
    def parameters(self) -> int | None:
        """Number of parameters; None where it cannot be read."""
        files = [self.folder / "model.safetensors"]
        files += sorted(self.folder.glob("checkpoints/*/model.safetensors"))
        weights = next((path for path in files if path.exists()), None)
        try:
            return weights and sum(map(prod, safetensors_shapes(weights).values()))
        except CheckpointError:
            return None

    @property
    def source(self) -> str:
        """What `load_model` takes: the shortest name that leads to the folder."""
        if any(self.folder.parent.resolve() == root.resolve() for root in SHIPPED):
            return self.folder.name
        try:
            return str(self.folder.resolve().relative_to(Path.cwd()))
        except ValueError:
            return str(self.folder.resolve())

    def weights_hash(self, step: int | None) -> str:
        """The SHA-256 that is on record for the weights of a step; None = the newest."""
        record = self.record
        if step is not None or not self.is_finished:
            step = self.steps[-1] if step is None and self.steps else step
            meta = self.folder / "checkpoints" / f"step-{step or 0:06d}" / "meta.json"
            record = read_object(meta) if meta.exists() else record
        hashes = record.get("sha256")
        return str(hashes.get("model.safetensors", "")) if isinstance(hashes, dict) else ""


def entries() -> list[Entry]:
    """Every model and run at hand, the shipped one first."""
    roots = dict.fromkeys([*_roots(), import_folder()])
    places = {folder.resolve(): folder for root in roots for folder in (root, *_below(root))}
    folders = [folder for folder in places.values() if (folder / "run.json").is_file()]
    names = [folder.resolve().name for folder in folders]
    models = [
        Entry(name if names.count(name) == 1 else str(folder), folder)
        for name, folder in zip(names, folders, strict=True)
    ]
    return sorted(models, key=lambda entry: (entry.name != FIRST, entry.name))


def sweeps() -> list[Path]:
    """The folders of sweeps at hand that have finished runs, by name."""
    folders = {path.parent for root in _roots() for path in root.glob("*/sweep.json")}
    return sorted(path for path in folders if any(path.glob("*/model.safetensors")))


def import_folder() -> Path:
    """The folder that gets new models: the first given one that is no model or shipped folder."""
    shipped = {root.resolve() for root in SHIPPED}
    roots = _roots() if os.environ.get(FOLDERS) else ()
    free = (root for root in roots if not (root / "run.json").exists())
    return next((root for root in free if root.resolve() not in shipped), RUNS)


def records(path: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """The records of one kind, or all, in a file that a run writes; none while there is none."""
    try:
        status = path.stat()
        return _records(path, kind, status.st_mtime_ns, status.st_size)
    except OSError:
        return []


@lru_cache(maxsize=64)
def _records(path: Path, kind: str | None, changed: int, size: int) -> list[dict[str, Any]]:
    """Read once for every state of the file: a long run has many lines, and pages ask often."""
    return read_metrics(path, kind)


def _below(root: Path) -> list[Path]:
    return sorted(path for path in root.glob("*") if path.is_dir()) if root.is_dir() else []


def _roots() -> tuple[Path, ...]:
    folders = os.environ.get(FOLDERS)
    return tuple(map(Path, folders.split(os.pathsep))) if folders else USUAL
