"""A run's folder: where it resumes from, what it may not change, what it leaves behind."""

import datetime
import logging
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interp import __version__
from interp.core.errors import ConfigError
from interp.core.files import read_object, write_json
from interp.models.gpt import GPT
from interp.models.io.checkpoint import save_model, save_weights, write_settings
from interp.runs.metrics import METRICS
from interp.runs.record import changed_values
from interp.training.data.corpus import Corpus
from interp.training.distributed import ProcessGroup
from interp.training.recipe.config import MAY_CHANGE, TrainConfig, differences
from interp.training.run.state import TrainingState, newest_state
from interp.training.run.write_errors import naming_refusals

log = logging.getLogger(__name__)

_OF_A_FINISHED = ("sha256", "model_hash", "step")


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
        """The state to go on from, None for a fresh start, and warnings about damaged ones.

        Raises:
            ConfigError: the recipe or the corpus is not the one of the state; every field is named.
        """
        state, warnings = newest_state(self.states)
        if state is not None:
            self._check_same(state)
        return state, warnings

    def _check_same(self, state: TrainingState) -> None:
        old = TrainConfig.from_dict(state.meta["recipe"])
        changed = differences(old, self.config)
        refused = [
            f"{name} was {before!r}, now {now!r}"
            for name, (before, now) in changed.items()
            if name not in MAY_CHANGE
        ]
        if state.meta["corpus"] != self.corpus.hash:
            refused.append(f"corpus was {state.meta['corpus']}, now {self.corpus.hash}")
        if refused:
            raise ConfigError(
                f"A run resumes with the recipe it began with; in {self.path} "
                f"{'; '.join(refused)}. Ask for the old values or train into another folder."
            )
        if self.config.steps < state.step:
            raise ConfigError(
                f"{self.path} has {state.step} steps behind it; {self.config.steps} were asked "
                f"for. Ask for more, or train into another folder."
            )

    def begin(self, state: TrainingState | None, group: ProcessGroup, warnings: list[str]) -> None:
        """Drop what was made after the resume point, and record this session."""
        step = state.step if state else 0
        for folder in self.checkpoints.glob("step-*"):
            if state is None or int(folder.name.removeprefix("step-")) > step:
                shutil.rmtree(folder)
        record = read_object(self.record) if state and self.record.exists() else {}
        if step < self.config.steps:
            record = {name: value for name, value in record.items() if name not in _OF_A_FINISHED}
        session = _session(step, group, warnings)
        last = (record.get("sessions") or [{}])[-1]
        surroundings = {name: session[name] for name in ("torch", "ranks", "threads")}
        for change in changed_values(last, surroundings):
            log.warning("%s: the last bits may differ from an uninterrupted run's", change)
        if state:
            changes = differences(TrainConfig.from_dict(state.meta["recipe"]), self.config)
            session["changed"] = {name: list(values) for name, values in changes.items()}
        record |= {
            "recipe": self.config.to_dict(),
            "seed": self.config.seed,
            "corpus": {"hash": self.corpus.hash, "source": dict(self.corpus.source)},
            "tokenizer": self.corpus.tokenizer.hash,
            "sessions": [*record.get("sessions", []), session],
        }
        with naming_refusals("run's record", self.path):
            write_settings(self.config.model, self.corpus.tokenizer, self.path)
            write_json(self.record, record)

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
