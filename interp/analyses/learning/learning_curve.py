"""A run's losses, learning rate, gradient norm and speed over its steps, as it wrote them down.

It reads what the run wrote down (`metrics.jsonl`, `baselines.json`, `run.json`). A long run is
thinned to `points` updates: in every stretch those where a curve is lowest and highest stay.

Control: the world's exact floor on the same held-out tokens (of your own text it is not known), a
unigram guess and a uniform one. The shipped model has its held-out losses only. It is one run, so
there is no interval; `curriculum` and `emergence` compare runs over seeds.

Units: nats per token, and per byte (UTF-8) of the held-out text where the run wrote that down,
by which runs with different tokenizers compare; n = held-out tokens; tokens per second of wall time
since the session of the run began. Under Muon the learning rate is that of the hidden matrices.

    interp run learning_curve --model runs/mine --html learned.html --csv learned.csv
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp.core.errors import ConfigError, NotEnoughDataError
from interp.core.protocols import LanguageModel
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.runs.curves import MOST_POINTS, TrainingCurves, curves_of
from interp.runs.metrics import METRICS, read_baselines, read_metrics
from interp.runs.record import record_of

if TYPE_CHECKING:
    import pandas as pd

FEWEST_POINTS = 30


@dataclass(frozen=True, kw_only=True)
class LearningCurve(Result, TrainingCurves):
    """How a run learned, up to the step of the model; see `TrainingCurves` for the fields."""

    def finding(self) -> str:
        n = f"; n = {self.held_out_tokens:,} held-out tokens" if self.held_out_tokens else ""
        levels = f" ({self._levels()}{n})"
        if not len(self.evaluations):
            loss = _nats(self.training_loss[-1])
            return f"Training loss {loss} at step {self._last:,}; none held out{levels}."
        loss, step = _nats(self.held_out_loss[-1]), int(self.evaluations[-1])
        if self._has_bytes:
            loss += f" ({float(self.held_out_per_byte[-1]):.3f} per byte)"
        since = ""
        if step < self._last:
            since = f"; training loss {_nats(self.training_loss[-1])} at step {self._last:,}"
        return f"Held-out loss {loss} at step {step:,}{levels}{since}."

    def caption(self) -> str:
        parts = [
            self.finding(),
            f"{self.provenance.model} up to step {self._last:,}.",
            self._losses(),
            self._stages(),
            self._rate(),
            self._left_out(),
        ]
        return " ".join(part for part in parts if part)

    def frame(self) -> "pd.DataFrame":
        """One row a step at which anything is on record; what is not known there is nan.

        A table of its own: three kinds of record have steps of their own and are joined on them.
        """
        import pandas as pd

        per_byte = {"held_out_loss_nats_per_byte": self.held_out_per_byte}
        per_byte = per_byte if self._has_bytes else {}
        curves = (
            (self.updates, {"training_loss_nats_per_token": self.training_loss,
                            "learning_rate": self.learning_rate,
                            "gradient_norm": self.gradient_norm}),
            (self.evaluations, {"held_out_loss_nats_per_token": self.held_out_loss,
                                **per_byte,
                                "floor_nats_per_token": self.floor,
                                "regret_nats_per_token": self.regret}),
            (self.timings, {"tokens_per_second": self.tokens_per_second}),
        )  # fmt: skip
        tables = [
            pd.DataFrame({name: values.tolist() for name, values in named.items()}, steps.tolist())
            for steps, named in curves
        ]
        table = pd.concat(tables, axis=1).sort_index().rename_axis("step").reset_index()
        for name, loss in self.baselines.items():
            table[f"{name}_nats_per_token"] = loss
        table.insert(1, "stage", [self.stage_at(step) for step in table["step"]])
        return table

    @property
    def _has_bytes(self) -> bool:
        """Whether the run wrote down what its last held-out loss is a byte."""
        return len(self.held_out_per_byte) > 0 and not math.isnan(self.held_out_per_byte[-1])

    @property
    def _last(self) -> int:
        return max((*self.updates.tolist(), *self.evaluations.tolist()))

    def _levels(self) -> str:
        """The floor and the losses of guessing, lowest first."""
        guesses = sorted(self.baselines.items(), key=lambda guess: guess[1])
        levels = [f"{name} guess {loss:.3f}" for name, loss in guesses]
        if "floor" in self.levels:
            regret = float(self.regret[-1])
            levels = [f"floor {self.levels['floor']:.3f}, regret {regret:.3f}", *levels]
        return ", ".join(levels)

    def _losses(self) -> str:
        floor = "the world's exact entropy on that text" if "floor" in self.levels else "not known"
        text = "Training loss: on each batch, before its update. " if self.n_updates else ""
        text += f"Held-out loss: always the same text; its floor: {floor}. "
        if "unigram" in self.baselines:
            text += "A unigram guess knows how frequent each token is, a uniform one nothing. "
        return f"{text}One run, so no interval: another seed draws another curve."

    def _stages(self) -> str:
        if not self.stages:
            return ""
        starts = enumerate(zip(self.stages, self.stage_starts, strict=True), start=1)
        stages = ", ".join(f"{n} {name} from step {start:,}" for n, (name, start) in starts)
        return (
            f"Stages of the curriculum: {stages}. The held-out text is of the last level from the "
            "first step on, so the two losses are of different text until the last stage."
        )

    def _rate(self) -> str:
        if not self.n_updates:
            return ""
        whose = "hidden matrices (Muon)" if self.optimizer == "muon" else f"all ({self.optimizer})"
        return f"Learning rate: of the {whose}."

    def _left_out(self) -> str:
        text = ""
        if len(self.updates) < self.n_updates:
            text = (
                f"{len(self.updates):,} of {self.n_updates:,} updates are kept: in every stretch "
                "the lowest and the highest. "
            )
        if self.n_not_finite:
            text += f"The loss of {self.n_not_finite:,} updates was not finite."
        return text.strip()


def learning_curve(model: LanguageModel, *, points: int = MOST_POINTS) -> LearningCurve:
    """Read how a run learned, from its first step to the one that the model stands at.

    What the run writes down later changes nothing: the same step gives the same curves.

    Args:
        model: opened from a run's folder.
        points: how many steps a curve has at most; the extremes are kept.
    Returns:
        LearningCurve: losses beside floor and baselines, learning rate, gradient norm and speed.
    Raises:
        NotEnoughDataError: the model is of no run, or nothing was measured up to its step.
        CheckpointError: a file of the run is damaged.
        ConfigError: fewer points than a curve needs.
    Example:
        >>> from interp.models.io.load import load_model
        >>> print(learning_curve(load_model("stories-demo")))
        Held-out loss 0.545 nats/token (0.138 per byte) at step 5,000 (floor 0.525, ...
    Source:
        Jugel et al. 2014, "M4: A Visualization-Oriented Time Series Data Aggregation" (which points
        stay). Differs: stretches are equal on a linear and on a logarithmic axis.
    """
    call = dict(locals())
    if points < FEWEST_POINTS:
        raise ConfigError(f"A curve needs {FEWEST_POINTS} points or more; got points = {points}.")
    folder, step = _place(model)
    recipe = record_of(folder).get("recipe")
    curves = curves_of(
        _records(folder, step),
        recipe if isinstance(recipe, Mapping) else {},
        {"uniform": math.log(model.cfg.d_vocab)} | read_baselines(folder),
        points=points,
    )
    return LearningCurve(**vars(curves), provenance=provenance(learning_curve, call))


def _place(model: LanguageModel) -> tuple[Path, int]:
    """The run's folder, and the step up to which it is read."""
    folder = getattr(getattr(model, "history", None), "folder", None)
    if folder is None or model.step is None:
        raise NotEnoughDataError(
            f"A learning curve is read from a run's folder; {model.name} "
            f"{'is of none' if folder is None else 'has no training step'}. Open a run that "
            "`interp train` made, or the shipped model `stories-demo`."
        )
    return folder, model.step


def _records(folder: Path, step: int) -> list[dict[str, Any]]:
    """What was measured up to a step."""
    records = read_metrics(folder / METRICS, whole=True)
    known = [record for record in records if record["step"] <= step]
    if not any(record.get("kind") in ("train", "eval") for record in known):
        raise NotEnoughDataError(
            f"A learning curve needs a loss that was measured; {folder / METRICS} has none up to "
            f"step {step}. Open a later checkpoint, or train with `eval_every` above 0."
        )
    return known


def _nats(loss: Any) -> str:
    return f"{float(loss):.3f} nats/token"
