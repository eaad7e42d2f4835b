"""What a run wrote down while it learned, as curves of few points that keep every extreme."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.display import percent
from interp.runs.metrics import is_number

MOST_POINTS = 1200
Records = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class TrainingCurves:
    """The curves of one run, up to some step; nan where a number is not known or not finite.

    Attributes:
        updates: steps whose training loss is here; a long run is thinned.
        training_loss: loss of each update's own batch, before the update, nats a token.
        learning_rate: rate of the hidden matrices under Muon, of all weights under AdamW.
        gradient_norm: before clipping.
        evaluations: steps at which the held-out loss was measured.
        held_out_loss: loss at each evaluation, always on the same text, nats a token.
        held_out_per_byte: the same loss, nats a byte (UTF-8): what runs with different tokenizers
            compare by; nan where the run did not write it down.
        floor: the world's exact entropy on that text, nats a token.
        timings: steps at which the speed was taken.
        tokens_per_second: speed in predicted tokens since the session began.
        n_updates: how many updates are on record, whether they are here or not.
        n_not_finite: updates whose loss was not finite.
        held_out_tokens: tokens behind the last held-out loss; 0 where the record does not say.
        baselines: losses of guessing by name, nats a token.
        optimizer: name of the optimizer.
        stages: levels that each stage of the curriculum draws from; empty without a curriculum.
        stage_starts: updates done before each stage.
    """

    updates: Int[Tensor, " update"]
    training_loss: Float[Tensor, " update"]
    learning_rate: Float[Tensor, " update"]
    gradient_norm: Float[Tensor, " update"]
    evaluations: Int[Tensor, " evaluation"]
    held_out_loss: Float[Tensor, " evaluation"]
    floor: Float[Tensor, " evaluation"]
    timings: Int[Tensor, " timing"]
    tokens_per_second: Float[Tensor, " timing"]
    n_updates: int
    n_not_finite: int
    held_out_tokens: int
    baselines: dict[str, float]
    optimizer: str
    stages: tuple[str, ...]
    stage_starts: tuple[int, ...]
    held_out_per_byte: Float[Tensor, " evaluation"] = field(default_factory=lambda: torch.empty(0))

    @property
    def regret(self) -> Float[Tensor, " evaluation"]:
        """Held-out loss - floor, nats a token."""
        return self.held_out_loss - self.floor

    @property
    def levels(self) -> dict[str, float]:
        """What the loss is compared with, by name, highest first: guessing, and the floor."""
        floor = float(self.floor[-1]) if len(self.floor) else math.nan
        known = self.baselines | ({} if math.isnan(floor) else {"floor": floor})
        return dict(sorted(known.items(), key=lambda level: -level[1]))

    def stage_at(self, step: int) -> str:
        """Levels that the update which ended with this step drew from; empty without stages."""
        begun = [
            name
            for name, start in zip(self.stages, self.stage_starts, strict=True)
            if start < max(step, 1)
        ]
        return begun[-1] if begun else ""


def curves_of(
    records: Records,
    recipe: Mapping[str, Any],
    baselines: Mapping[str, float],
    *,
    points: int = MOST_POINTS,
) -> TrainingCurves:
    """The curves of a run's records.

    Args:
        records: lines of `metrics.jsonl`, of all kinds.
        recipe: the run's recipe, as `run.json` has it.
        baselines: losses of guessing by name, nats a token.
        points: how many steps a curve has at most.
    """
    train, evaluated, timed = (_of_kind(records, kind) for kind in ("train", "eval", "speed"))
    loss = _numbers(train, "loss_nats_per_token")
    rate = _numbers(train, "learning_rate_scale") * _base_rate(recipe)
    norm = _numbers(train, "grad_norm")
    held_out = _numbers(evaluated, "loss_nats_per_token")
    speed = _numbers(timed, "tokens_per_second")
    updates = points_to_keep([loss, rate, norm], points)
    evaluations, timings = (points_to_keep([values], points) for values in (held_out, speed))
    last = max((*_steps(train), *_steps(evaluated)), default=0)
    names, starts = _stages(recipe, last)
    return TrainingCurves(
        updates=torch.from_numpy(_steps(train)[updates]),
        training_loss=_tensor(loss[updates]),
        learning_rate=_tensor(rate[updates]),
        gradient_norm=_tensor(norm[updates]),
        evaluations=torch.from_numpy(_steps(evaluated)[evaluations]),
        held_out_loss=_tensor(held_out[evaluations]),
        floor=_tensor(_numbers(evaluated, "floor_nats_per_token")[evaluations]),
        timings=torch.from_numpy(_steps(timed)[timings]),
        tokens_per_second=_tensor(speed[timings]),
        n_updates=len(train),
        n_not_finite=int(np.isnan(loss).sum()),
        held_out_tokens=_tokens(evaluated),
        baselines=dict(baselines),
        optimizer=str(recipe.get("optimizer", "muon")),
        stages=names,
        stage_starts=starts,
        held_out_per_byte=_tensor(_numbers(evaluated, "loss_nats_per_byte")[evaluations]),
    )


def points_to_keep(series: Sequence[np.ndarray], points: int) -> np.ndarray:
    """Which points of curves over the same steps stay, in order: all, if they are few.

    Else the steps are cut into stretches, half of them equal on a linear axis and half on a
    logarithmic one; of each stretch stays where a curve is lowest and highest, and both ends do.

    Args:
        series: curves of equal length; nan where nothing is known.
        points: how many may stay.

    Example:
        >>> points_to_keep([np.array([3.0, 9.0, 1.0, 4.0, 4.0, 4.0, 7.0, 2.0])], 6).tolist()
        [0, 1, 2, 7]
    """
    n = len(series[0])
    if n <= points:
        return np.arange(n)
    # Two axes, and a lowest and a highest point of each curve: 4 points a stretch and curve.
    stretches = max(1, (points - 2) // (4 * len(series)))
    edges = np.concatenate([np.linspace(0, n, stretches + 1), np.geomspace(1, n, stretches + 1)])
    bounds = np.unique(np.round(edges).astype(int))
    chosen = {0, n - 1}
    for start, end in pairwise(bounds.tolist()):
        for values in series:
            finite = start + np.flatnonzero(np.isfinite(values[start:end]))
            if len(finite):
                chosen.add(int(finite[values[finite].argmin()]))
                chosen.add(int(finite[values[finite].argmax()]))
    return np.array(sorted(chosen))


def _of_kind(records: Records, kind: str) -> list[Mapping[str, Any]]:
    """The records of a kind in order of steps, one a step: the newest."""
    newest = {record["step"]: record for record in records if record.get("kind") == kind}
    return [newest[step] for step in sorted(newest)]


def _steps(records: Records) -> np.ndarray:
    return np.array([record["step"] for record in records], dtype=np.int64)


def _numbers(records: Records, name: str) -> np.ndarray:
    values = (record.get(name) for record in records)
    return np.array([float(value) if is_number(value) else math.nan for value in values])


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


def _base_rate(recipe: Mapping[str, Any]) -> float:
    """What the schedule's share is a share of."""
    rate = recipe.get("muon_lr" if recipe.get("optimizer", "muon") == "muon" else "adamw_lr")
    return float(rate) if is_number(rate) else math.nan


def _tokens(evaluated: Records) -> int:
    count = evaluated[-1].get("tokens") if evaluated else None
    return int(count) if is_number(count) else 0


def _stages(recipe: Mapping[str, Any], last: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The curriculum's stages that had begun by the last step, and when; none if it has but one."""
    stages = recipe.get("stages")
    stages = stages if isinstance(stages, list) and len(stages) > 1 else []
    names, starts, start = [], [], 0
    for stage in (stage for stage in stages if isinstance(stage, Mapping)):
        if start >= max(last, 1):
            break
        length = stage.get("steps")
        names.append(_mixture_name(stage.get("mix")))
        starts.append(start)
        start = start + length if isinstance(length, int) else last
    return tuple(names), tuple(starts)


def _mixture_name(mix: Any) -> str:
    """The levels that a stage draws from, with their shares where these differ."""
    shares = mix if isinstance(mix, Mapping) else {}
    shares = {
        str(level): share for level, share in shares.items() if is_number(share) and share > 0
    }
    if len(set(shares.values())) <= 1:
        return " + ".join(shares) or "all levels"
    total = sum(shares.values())
    return " + ".join(f"{level} {percent(share / total)}" for level, share in shares.items())
