"""Several processes on one run: who am I, wrap the model, sum a number, wait for the others."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import _set_pg_timeout
from torch.distributed.tensor import DTensor, Replicate

from interp.core.errors import InterpError, TrainingError, first_line
from interp.models.io.device import pick_device

Engine = Literal["ddp", "fsdp"]
INIT_TIMEOUT = timedelta(seconds=60)
"""How long the ranks wait for each other at the start."""

EXCHANGE_TIMEOUT = timedelta(minutes=10)
"""How long they wait later, when one may be writing; a rank that died is noticed at once."""


@dataclass(frozen=True)
class ProcessGroup:
    """The processes (ranks) that train one run together; a single process is a group of one."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def device(self, asked: str) -> torch.device:
        """Where this process computes: each local rank has a GPU of its own.

        Raises:
            ConfigError: this machine has no such device.
        """
        device = pick_device(asked)
        if device.type == "cuda" and self.size > 1:
            torch.cuda.set_device(self.local_rank)
            return torch.device("cuda", self.local_rank)
        return device

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a tensor over all ranks, in place."""
        if self.size > 1:
            dist.all_reduce(value)
        return value

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether the flag is set on any rank; all ranks must ask together."""
        if self.size == 1:
            return flag
        return bool(self.sum(torch.tensor(float(flag), device=device)).item())

    def broadcast(self, value: Any) -> Any:
        """The main rank's value, on every rank."""
        if self.size == 1:
            return value
        holder = [value]
        dist.broadcast_object_list(holder, src=0)
        return holder[0]

    def barrier(self) -> None:
        """Wait until every rank is here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def join_process_group(device: str = "auto") -> Iterator[ProcessGroup]:
    """Join the ranks that torchrun started, or be alone; leaves the group at the end.

    Args:
        device: `cpu` keeps gloo even where there are GPUs.
    Raises:
        TrainingError: the other ranks did not come in time.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or dist.is_initialized():
        yield ProcessGroup() if size == 1 else ProcessGroup(dist.get_rank(), size, _local_rank())
        return
    use_cuda = device != "cpu" and torch.cuda.is_available()
    try:
        dist.init_process_group("nccl" if use_cuda else "gloo", timeout=INIT_TIMEOUT)
    except (dist.DistError, ValueError) as error:
        raise TrainingError(
            f"Rank {os.environ.get('RANK')} of {size} on {socket.gethostname()} did not meet the "
            f"others within {INIT_TIMEOUT.seconds} s ({error}). End what is left of the job and "
            f"start the same command again."
        ) from error
    _set_pg_timeout(EXCHANGE_TIMEOUT)
    try:
        yield ProcessGroup(dist.get_rank(), size, _local_rank())
    finally:
        dist.destroy_process_group()


@contextmanager
def explain_lost_ranks(group: ProcessGroup) -> Iterator[None]:
    """Say in plain words when an exchange failed because another rank is gone.

    Raises:
        TrainingError: an exchange with the other ranks failed.
    """
    try:
        yield
    except RuntimeError as error:
        if group.size == 1 or isinstance(error, InterpError) or not _is_lost_rank(error):
            raise
        raise TrainingError(
            f"Rank {group.rank} of {group.size} lost another rank ({first_line(error)}). The job "
            f"ends here; start the same command again: it resumes from the last whole state."
        ) from error


def _is_lost_rank(error: RuntimeError) -> bool:
    signs = ("gloo", "nccl", "connection", "timed out", "peer", "socket")
    return isinstance(error, dist.DistError) or any(sign in str(error).lower() for sign in signs)


def wrap(objective: nn.Module, model: nn.Module, group: ProcessGroup, engine: Engine) -> nn.Module:
    """The module to call in training: gradients come out averaged over the ranks.

    Args:
        objective: calls `model`, which is on its device already.
        model: its `blocks` are the units that `fsdp` shards.
        group: the ranks that train together.
        engine: `ddp` = every rank holds all weights; `fsdp` = FSDP2, each rank holds a share.
    """
    if group.size == 1:
        return objective
    # Both engines average gradients over the ranks, so the objective is multiplied by their number
    # (see Updater): its sum, not the mean of means, is right where ranks count unequal tokens.
    if engine == "ddp":
        # Buffers (rotary angles) are the same on every rank: nothing to send before each pass.
        buffers = [name for name, _ in objective.named_buffers()]
        ddp = nn.parallel.DistributedDataParallel
        ddp._set_params_and_buffers_to_ignore_for_model(objective, buffers)
        return ddp(objective)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    # Each block gathers its weights when it runs and drops them again: one at a time is whole.
    mesh = init_device_mesh(next(model.parameters()).device.type, (group.size,))
    for block in model.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return objective


def full_tensor(tensor: Tensor) -> Tensor:
    """The full tensor of a sharded one; all ranks must ask together."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def local_shard(tensor: Tensor) -> Tensor:
    """What this rank holds of a tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def shard_like(tensor: Tensor, pattern: Tensor) -> Tensor:
    """A full tensor, the same on every rank, sharded as `pattern` is; a copy where it is not."""
    if not isinstance(pattern, DTensor):
        return tensor.clone()
    mesh = pattern.device_mesh
    # run_check would send the tensor round to compare; every rank has read the same file.
    whole = DTensor.from_local(tensor, mesh, [Replicate()] * mesh.ndim, run_check=False)
    return whole.redistribute(placements=pattern.placements)


def _local_rank() -> int:
    return int(os.environ.get("LOCAL_RANK", "0"))
