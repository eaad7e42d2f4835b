"""One update of the weights, without a single wait for the device."""

import contextlib
import math
import os
import shutil
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from interp.core.errors import TrainingError
from interp.models.gpt import GPT
from interp.training.data.batches import Batches
from interp.training.distributed import Engine, ProcessGroup, full_tensor, local_shard, wrap
from interp.training.loop.objective import Objective, counts
from interp.training.loop.optimizers import build_optimizers
from interp.training.recipe.config import TrainConfig

COMPILE_PAYS_ABOVE_STEPS = 500
"""Below that many steps, compiling costs more CPU time than it saves."""

DIVERGED_ABOVE = 4.0
"""A loss of so many times ln(d_vocab), a uniform guess's, counts as diverged."""

_SMALLEST_WEIGHT = 0.25
"""Weights come in quarters, so a smaller sum of them is 0: then 0 / 0.25 instead of 0 / 0."""


@dataclass(frozen=True)
class UpdateStatistics:
    """What the updates since the last `read` measured, one entry an update, in nats a token.

    Attributes:
        loss: plain mean of the nats over the tokens that count.
        objective: weighted mean of the nats, which is what the update minimizes.
        grad_norm: norm of the whole gradient, before clipping.
    """

    loss: list[float]
    objective: list[float]
    grad_norm: list[float]


class Updater:
    """Holds the model, its optimizers and the losses that were not read yet.

    Args:
        config: the run's recipe.
        model: the model to train, already on its device.
        batches: gives the batch of every step.
        group: the ranks that share each batch.
        engine: how the model is spread over the ranks.
    """

    def __init__(
        self, config: TrainConfig, model: GPT, batches: Batches, group: ProcessGroup, engine: Engine
    ) -> None:
        self.config, self.model, self.batches, self.group = config, model, batches, group
        self.device = model.device
        self.precision = _precision(config.precision, self.device)
        self.forward = _wrapped(config, model, group, engine)
        self.optimizers = build_optimizers(model, config)
        self._pending: list[Tensor] = []

    def update(self, step: int) -> None:
        """Draw the batch of `step` (counted from 0), and move the weights once."""
        if self.config.model.dropout:
            torch.manual_seed(_dropout_seed(self.config.seed, step, self.group.rank))
        batch = self.batches.batch(step, self.group.rank, self.group.size)
        tokens, weights = self._to_device(batch.tokens), self._to_device(batch.weights)
        totals = self.group.sum(counts(weights)).clamp(min=_SMALLEST_WEIGHT)
        sums = self._backward(tokens, weights, totals[0])
        norm = self._clip()
        self.optimizers.step(step)
        self.model.zero_grad(set_to_none=True)
        self._pending.append(torch.cat([sums / totals, norm]))

    def _to_device(self, rows: Tensor) -> Tensor:
        """The rows on the device; from pinned memory, the copy does not make this process wait."""
        pinned = rows.pin_memory() if self.device.type == "cuda" else rows
        return pinned.to(self.device, non_blocking=True)

    def _backward(self, tokens: Tensor, weights: Tensor, total: Tensor) -> Tensor:
        pieces = [x.chunk(self.config.accumulate) for x in (tokens, weights)]
        sums = torch.zeros(2, device=self.device)
        for number, (some_tokens, some_weights) in enumerate(zip(*pieces, strict=True), 1):
            with self._synchronized(last=number == len(pieces[0])):
                with self.autocast():
                    objective, plain = self.forward(some_tokens, some_weights)
                # DDP and FSDP average over the ranks; the objective is a sum over all of them.
                (objective * (self.group.size / total)).backward()
            sums += torch.stack([objective.detach(), plain])
        return sums

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The precision of the forward pass."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def _synchronized(self, *, last: bool) -> contextlib.AbstractContextManager[Any]:
        """Gradients travel between the ranks with the last micro-batch only."""
        if last or not isinstance(self.forward, nn.parallel.DistributedDataParallel):
            return contextlib.nullcontext()
        return self.forward.no_sync()

    def _clip(self) -> Tensor:
        """The norm of the whole gradient, before it is clipped where it is."""
        if self.config.grad_clip is None:
            gradients = (p.grad for p in self.model.parameters())
            norm = nn.utils.get_total_norm([grad for grad in gradients if grad is not None])
        else:
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.grad_clip)
        return full_tensor(norm).reshape(1)

    def read(self) -> UpdateStatistics:
        """Wait for the device and hand over what the updates since the last call measured.

        Nothing is refused here: `check` does that, once the losses are in `metrics.jsonl`.
        """
        if not self._pending:
            return UpdateStatistics([], [], [])
        table = torch.stack(self._pending)
        self._pending.clear()
        objective, loss = self.group.sum(table[:, :2].contiguous()).T.tolist()
        return UpdateStatistics(loss, objective, table[:, 2].tolist())

    def check(self, statistics: UpdateStatistics, step: int) -> None:
        """Refuse to go on if the updates up to number `step` show that the run has diverged.

        Raises:
            TrainingError: a loss is not finite, or far above a uniform guess's.
        """
        limit = DIVERGED_ABOVE * math.log(self.config.model.d_vocab)
        for offset, loss in enumerate(statistics.loss):
            if not loss <= limit:
                update = step - len(statistics.loss) + offset
                raise TrainingError(
                    f"The loss must stay finite and below {limit:.1f} nats; it was {loss:.4g} at "
                    f"update {update} (batch of seed {self.config.seed}, step {update}). Lower the "
                    f"learning rate or clip gradients; the last good state is kept."
                )

    def assert_finite_weights(self, step: int) -> None:
        """Refuse weights that no state should ever hold.

        Raises:
            TrainingError: a weight is not finite.
        """
        shards = [local_shard(p.detach()) for p in self.model.parameters()]
        finite = torch.stack([shard.isfinite().all() for shard in shards]).all()
        if self.group.any(not finite, self.device):
            raise TrainingError(
                f"The weights must be finite; after update {step - 1} some are not. Lower the "
                f"learning rate or clip gradients; the last good state is kept."
            )


def _wrapped(config: TrainConfig, model: GPT, group: ProcessGroup, engine: Engine) -> nn.Module:
    objective = Objective(model)
    if _compiles(config, model.device):
        objective.compile()
    return wrap(objective, model, group, engine)


def _compiles(config: TrainConfig, device: torch.device) -> bool:
    """Whether to compile; decided by the recipe alone, so that a resumed run decides alike."""
    if config.compile == "auto":
        return device.type == "cuda" and _has_compiler()
    return bool(config.compile) and (
        device.type != "cpu" or config.steps > COMPILE_PAYS_ABOVE_STEPS
    )


def _has_compiler() -> bool:
    return any(map(shutil.which, (os.environ.get("CC", "cc"), "gcc", "clang")))


def _precision(asked: str, device: torch.device) -> str:
    if asked != "auto":
        return asked
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"


def _dropout_seed(seed: int, step: int, rank: int) -> int:
    """One number for dropout, different for each seed, step and rank."""
    return ((seed * 1_000_003 + step) * 4_099 + rank) % 2**63
