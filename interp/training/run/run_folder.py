"""A run's folder: where it resumes from, what it may not change, what it leaves behind."""

import datetime
import json
import logging
import platform
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interp import __version__
from interp.core.errors import CheckpointError, ConfigError
from interp.core.files import holds_only, read_object, remove_leftovers, write_json
from interp.models.gpt import GPT
from interp.models.io.checkpoint import save_model, save_weights, write_settings
from interp.runs.metrics import METRICS, missing_losses
from interp.runs.record import changed_values
from interp.training.data.corpus import Corpus
from interp.training.distributed import ProcessGroup
from interp.training.recipe.config import MAY_CHANGE, TrainConfig, differences
from interp.training.run.state import (
    TrainingState,
    has_state,
    is_sealed,
    newest_state,
    prune_states,
)
from interp.training.run.write_errors import naming_refusals

log = logging.getLogger(__name__)

_OF_A_FINISHED = ("sha256", "model_hash", "step")
_HELD = ("run.json", METRICS, "checkpoints", "config.json", "tokenizer.json", "*.safetensors")
"""What training would write over, or makes a folder a model's."""
_CHECKPOINT = re.compile(r"step-(\d{6,})")
_CHECKPOINT_FILES = ("model.safetensors", "meta.json")


def check_new(folder: Path) -> None:
    """Refuse a folder that holds a model, or a run that cannot be gone on with.

    Raises:
        CheckpointError: training would write over what is there; it is named.
    """
    paths = (path for pattern in _HELD for path in sorted(folder.glob(pattern)))
    names = [path.name for path in paths if not path.is_dir() or any(path.iterdir())]
    names += ["damaged states"] * any((folder / "states").glob("step-*/"))
    if names:
        raise CheckpointError(
            "Training begins in a new folder, or goes on from a whole state in states/; "
            f"{folder} holds {', '.join(dict.fromkeys(names))}, and no such state. Train into "
            "another folder (--out), or move away what is there."
        )


def check_resumable(folder: Path) -> None:
    """Refuse a folder in which training would write over something; see `check_new`."""
    if not has_state(folder / "states"):
        check_new(folder)


class RunFolder:
    """The files of one run; only the main rank writes.

    Args:
        path: the folder, with `run.json`, `metrics.jsonl`, `states/`, `checkpoints/` and, in the
            end, the model.
        config: the recipe of this session.
        corpus: the corpus that the run trains on.
    """

    def __init__(self, path: Path, config: TrainConfig, corpus: Corpus) -> None:
        self.path, self.config, self.corpus = path, config, corpus
        self.states = path / "states"
        self.checkpoints = path / "checkpoints"
        self.metrics = path / METRICS
        self.record = path / "run.json"

    def resume_point(self) -> tuple[TrainingState | None, list[str]]:
        """The state to go on from, None for a fresh start, and warnings about what is damaged.

        Raises:
            ConfigError: the recipe or the corpus is not the one of the states; every field is
                named.
            CheckpointError: no state can be gone on from, and the folder is not new.
        """
        others: list[str] = []

        def check(state: TrainingState) -> None:
            if other := self._differences(state):
                if is_sealed(self.states, state.step):  # Nothing is damaged: it is another run's.
                    raise ConfigError(other)
                others.append(other)
                raise CheckpointError(other)

        state, warnings = newest_state(self.states, check)
        if state is None and others:
            raise ConfigError(others[0])
        if state is None:
            check_new(self.path)
        elif self.config.steps < state.step:
            raise ConfigError(
                f"{self.path} has {state.step} steps behind it; {self.config.steps} were asked "
                f"for. Ask for more, or train into another folder."
            )
        elif lost := missing_losses(self.metrics, state.step):
            warnings.append(lost)
        return state, warnings

    def _differences(self, state: TrainingState) -> str:
        """What may not differ between the run of a state and this one, in words; empty if nothing.

        Raises:
            CheckpointError: the state has no recipe or corpus on record.
        """
        changed = differences(_recipe(state), self.config)
        refused = [
            f"{name} was {before!r}, now {now!r}"
            for name, (before, now) in changed.items()
            if name not in MAY_CHANGE
        ]
        if state.meta["corpus"] != self.corpus.hash:
            refused.append(f"corpus was {state.meta['corpus']}, now {self.corpus.hash}")
        if not refused:
            return ""
        return (
            f"A run resumes with the recipe it began with; in {self.path} "
            f"{'; '.join(refused)}. Ask for the old values or train into another folder."
        )

    def begin(self, state: TrainingState | None, group: ProcessGroup, warnings: list[str]) -> None:
        """Drop what was made after the resume point, and record this session."""
        step = state.step if state else 0
        with naming_refusals("run's record", self.path):
            for folder in (self.path, self.states, self.checkpoints):
                remove_leftovers(folder)
            for folder in self.checkpoints.glob("step-*"):
                named = _CHECKPOINT.fullmatch(folder.name)
                if named and int(named[1]) > step and holds_only(folder, _CHECKPOINT_FILES):
                    shutil.rmtree(folder)
            prune_states(self.states, step, self.config.keep_full)
        record = self._old_record()
        if step < self.config.steps:
            record = {name: value for name, value in record.items() if name not in _OF_A_FINISHED}
        session = _session(step, group, warnings)
        sessions = record.get("sessions")
        sessions = sessions if isinstance(sessions, list) else []
        sessions = [one for one in sessions if isinstance(one, dict)]
        last = sessions[-1] if sessions else {}
        surroundings = {name: session[name] for name in ("torch", "ranks", "threads")}
        for change in changed_values(last, surroundings):
            log.warning("%s: the last bits may differ from an uninterrupted run's", change)
        if state:
            changes = differences(_recipe(state), self.config)
            session["changed"] = {name: list(values) for name, values in changes.items()}
        record |= {
            "recipe": self.config.to_dict(),
            "seed": self.config.seed,
            "corpus": {
                "hash": self.corpus.hash,
                "source": dict(self.corpus.source),
                "remarks": list(self.corpus.remarks),
            },
            "tokenizer": self.corpus.tokenizer.hash,
            "sessions": [*sessions, session],
        }
        with naming_refusals("run's record", self.path):
            write_settings(self.config.model, self.corpus.tokenizer, self.path)
            write_json(self.record, record)

    def _old_record(self) -> dict[str, Any]:
        """The record of earlier sessions; empty where it is damaged, for the states say enough."""
        if not self.record.exists():
            return {}
        try:
            record = read_object(self.record)
            json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False).encode()
            return record
        except (CheckpointError, ValueError, RecursionError) as damage:
            log.warning("The record of the run's earlier sessions is written anew: %s", damage)
            return {}

    def state(
        self, step: int, model: Mapping[str, Tensor], optimizer: Mapping[str, Tensor]
    ) -> TrainingState:
        """A full state to be saved."""
        meta = {
            "recipe": self.config.to_dict(),
            "corpus": self.corpus.hash,
            "torch": torch.__version__,
        }
        return TrainingState(step=step, model=model, optimizer=optimizer, meta=meta)

    def state_folder(self, step: int) -> Path:
        """Where the state after `step` updates is."""
        return self.states / f"step-{step:06d}"

    def save_weights(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Keep the weights after `step` updates in the history, whole or not at all.

        Raises:
            TrainingError: the disk is full or refuses.
        """
        dtype = torch.bfloat16 if self.config.history_precision == "bf16" else None
        with naming_refusals(f"weights after step {step}", self.path):
            save_weights(self.path, step, weights, dtype=dtype)

    def save_model(self, model: GPT) -> None:
        """Make the folder a finished model's.

        Raises:
            TrainingError: the disk is full or refuses.
        """
        with naming_refusals("finished model", self.path):
            save_model(model, self.path)


def _recipe(state: TrainingState) -> TrainConfig:
    try:
        if isinstance(state.meta["corpus"], str):
            return TrainConfig.from_dict(state.meta["recipe"])
        what = "its corpus is no hash"
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        what = str(error)
    raise CheckpointError(
        f"The state after step {state.step} must record the recipe and the corpus of its run; it "
        f"does not ({what}). Remove it."
    )


def _session(step: int, group: ProcessGroup, warnings: list[str]) -> dict[str, Any]:
    """What may differ between two stretches of one run."""
    return {
        "from_step": step,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "interp": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "ranks": group.size,
        "threads": torch.get_num_threads(),
        "warnings": warnings,
    }
