"""The models of this machine, from the records in their folders; no weights are read.

A model is a run or model folder of ours, a `transformers` folder, or a GGUF file: what `load_model`
opens.
"""

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
RECORD, SETTINGS, GGUF = "run.json", "config.json", ".gguf"


@dataclass(frozen=True)
class Entry:
    """One model or run.

    Attributes:
        name: unique among the models shown.
        folder: its folder; of a GGUF model the file.
    """

    name: str
    folder: Path

    @cached_property
    def record(self) -> dict[str, Any]:
        """`run.json`; empty when it cannot be read."""
        try:
            return read_object(self.folder / RECORD)
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
    def checkpoints(self) -> list[int]:
        """Steps whose weights are there, in order: those of `steps`, and the finished model's."""
        last = [self.step] if self.is_finished and self.step is not None else []
        return sorted({*self.steps, *last})

    @property
    def is_finished(self) -> bool:
        """Whether the training is finished."""
        return "model_hash" in self.record

    @property
    def state(self) -> str:
        """Whether the run is `finished`, `in training` or `damaged`; of other models their kind."""
        if not self.is_run:
            return "GGUF file" if is_gguf(self.folder) else "model folder"
        return "finished" if self.is_finished else "in training" if self.record else "damaged"

    @property
    def is_run(self) -> bool:
        """Whether it has a record of ours; else it comes from elsewhere, or is bare weights."""
        return (self.folder / RECORD).is_file()

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
        whole = sorted(self.folder.glob("*.safetensors"))
        files = whole or sorted(self.folder.glob("checkpoints/*/model.safetensors"))[:1]
        try:
            shapes = [shape for path in files for shape in safetensors_shapes(path).values()]
        except CheckpointError:
            return None
        return sum(map(prod, shapes)) or None

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
        """The SHA-256 that is on record for the weights of a step; None = the newest.

        Of a model without a record, what tells its file or files from others.
        """
        if not self.is_run:
            files = [self.folder] if is_gguf(self.folder) else sorted(self.folder.glob("*.*"))
            status = [path.stat() for path in files]
            return repr([(each.st_size, each.st_mtime_ns, each.st_ino) for each in status])
        record = self.record
        if step is not None or not self.is_finished:
            step = self.steps[-1] if step is None and self.steps else step
            meta = self.folder / "checkpoints" / f"step-{step or 0:06d}" / "meta.json"
            record = read_object(meta) if meta.exists() else record
        hashes = record.get("sha256")
        return str(hashes.get("model.safetensors", "")) if isinstance(hashes, dict) else ""


def entries() -> list[Entry]:
    """Every model and run at hand: what was named by itself, the shipped one, and the rest."""
    roots = list(dict.fromkeys([*_roots(), import_folder()]))
    places = {place.resolve(): place for root in roots for place in (root, *_below(root))}
    folders = [place for place in places.values() if is_model(place)]
    names = [_name(folder.resolve()) for folder in folders]
    models = [
        Entry(name if names.count(name) == 1 else str(folder), folder)
        for name, folder in zip(names, folders, strict=True)
    ]
    return sorted(
        models, key=lambda each: (each.folder not in roots, each.name != FIRST, each.name)
    )


def is_model(place: Path) -> bool:
    """Whether a file or folder is one model, by the names in it; nothing is read."""
    if is_gguf(place) or (place / RECORD).is_file():
        return True
    # Pickled weights, too: opening them is refused with a sentence.
    weights = (*place.glob("*.safetensors"), *place.glob("*.bin"))
    return bool(weights) and (place / SETTINGS).is_file()


def is_gguf(place: Path) -> bool:
    """Whether it is a file of llama.cpp's format, by its name."""
    return place.suffix.lower() == GGUF and place.is_file()


def sweeps() -> list[Path]:
    """The folders of sweeps at hand that have finished runs, by name."""
    folders = {path.parent for root in _roots() for path in root.glob("*/sweep.json")}
    return sorted(path for path in folders if any(path.glob("*/model.safetensors")))


def import_folder() -> Path:
    """The folder that gets new models: the first given one that is no model or shipped folder."""
    shipped = {root.resolve() for root in SHIPPED}
    roots = _roots() if os.environ.get(FOLDERS) else ()
    free = (root for root in roots if not is_model(root))
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
    """What is in it, and the GGUF files in its folders."""
    if not root.is_dir():
        return []
    return sorted([*root.glob("*"), *root.glob(f"*/*{GGUF}")])


def _name(place: Path) -> str:
    return place.stem if is_gguf(place) else place.name


def _roots() -> tuple[Path, ...]:
    folders = os.environ.get(FOLDERS)
    return tuple(map(Path, folders.split(os.pathsep))) if folders else USUAL
