"""Which parameter is trained by what: Muon for hidden matrices, fused AdamW for all the rest."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from interp.core.errors import CheckpointError
from interp.models.gpt import SelfAttention
from interp.training.distributed import full_tensor, shard_like
from interp.training.loop.muon import Muon
from interp.training.recipe.config import TrainConfig
from interp.training.recipe.schedule import momentum_at

ParameterGroup = Literal["hidden", "embed", "head", "scalar"]
_ADAMW_BUFFERS = ("step", "exp_avg", "exp_avg_sq")


def parameter_groups(model: nn.Module) -> dict[ParameterGroup, dict[str, Tensor]]:
    """Every trainable parameter, by name, in exactly one of four groups.

    Args:
        model: embeddings are the weights of its `nn.Embedding`s (a tied unembedding is one of
            them), hidden are the other matrices inside `blocks`, head is any matrix left.
    Returns:
        `hidden`, `embed`, `head` and `scalar` (everything with fewer than two dimensions).
    """
    # Muon moves every direction of a matrix alike. That fits matrices between activations; the rows
    # of an embedding or unembedding are tokens, and rare ones would move as much as frequent ones.
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    groups = {kind: {} for kind in get_args(ParameterGroup)}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[_kind(name, parameter, embeddings)][name] = parameter
    return groups


def _kind(name: str, parameter: Tensor, embeddings: set[int]) -> ParameterGroup:
    if parameter.ndim < 2:
        return "scalar"
    if id(parameter) in embeddings:
        return "embed"
    return "hidden" if "blocks." in name and parameter.ndim == 2 else "head"


@dataclass
class Optimizers:
    """Muon and AdamW behind one step, with a state that is plain named tensors.

    Attributes:
        config: the run's recipe, with learning rates and momentum.
        adamw: optimizer of all parameters that Muon does not have.
        adamw_names: AdamW's parameters, by name.
        muon: optimizer of the hidden matrices; None when AdamW has them too.
    """

    config: TrainConfig
    adamw: torch.optim.AdamW
    adamw_names: dict[str, Tensor]
    muon: Muon | None

    def step(self, step: int) -> None:
        """Update every parameter from its gradient and drop the gradients.

        Args:
            step: number of this update, counted from 0; sets learning rates and momentum.
        """
        config = self.config
        scale = config.learning_rate_scale(step)
        for group in self.adamw.param_groups:
            group["lr"] = group["base_lr"] * scale
        self.adamw.step()
        if self.muon:
            momentum = momentum_at(
                step,
                start=config.momentum_start,
                end=config.momentum,
                warmup_steps=config.momentum_warmup_steps,
            )
            self.muon.step(lr_scale=scale, momentum=momentum)

    def tensors(self) -> dict[str, Tensor]:
        """Every buffer by name; whole tensors, also where the parameters are sharded."""
        state = {
            f"adamw.{buffer}.{name}": full_tensor(self.adamw.state[parameter][buffer])
            for name, parameter in self.adamw_names.items()
            if self.adamw.state[parameter]  # empty before the first update
            for buffer in _ADAMW_BUFFERS
        }
        momenta = self.muon.momenta if self.muon else {}
        return state | {f"muon.{name}": full_tensor(x) for name, x in momenta.items()}

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take buffers back that `tensors` gave.

        Raises:
            CheckpointError: a buffer is missing, foreign, or has another shape.
        """
        # A state that was saved before the first update has no buffers of AdamW, but Muon's zeros.
        expected = {f"muon.{name}" for name in (self.muon.momenta if self.muon else {})}
        if any(name.startswith("adamw.") for name in tensors):
            expected |= {f"adamw.{b}.{name}" for b in _ADAMW_BUFFERS for name in self.adamw_names}
        if expected != set(tensors):
            odd = sorted(expected.symmetric_difference(tensors))[:3]
            raise CheckpointError(
                f"The optimizer's buffers do not fit this recipe: {', '.join(odd)} missing or "
                f"foreign. Resume with the recipe that wrote them."
            )
        for name, parameter in self.adamw_names.items():
            if f"adamw.step.{name}" in tensors:
                self.adamw.state[parameter] = {
                    buffer: _like(tensors[f"adamw.{buffer}.{name}"], parameter)
                    for buffer in _ADAMW_BUFFERS
                }
        for name, momentum in (self.muon.momenta if self.muon else {}).items():
            momentum.copy_(_like(tensors[f"muon.{name}"], momentum))


def build_optimizers(model: nn.Module, config: TrainConfig) -> Optimizers:
    """The optimizers of a recipe over a model's parameters."""
    groups = parameter_groups(model)
    with_muon = config.optimizer == "muon"
    lrs = {"embed": config.embed_lr, "head": config.head_lr, "scalar": config.scalar_lr}
    adamw_groups = {kind: named for kind, named in groups.items() if named}
    if with_muon:
        adamw_groups.pop("hidden", None)
    adamw = torch.optim.AdamW(
        [
            {
                "params": list(named.values()),
                "base_lr": lrs[kind] if with_muon else config.adamw_lr,
                # Pulled to 0, a norm's gain or a bias would only lose its scale.
                "weight_decay": 0.0 if kind == "scalar" else config.weight_decay,
            }
            for kind, named in adamw_groups.items()
        ],
        betas=config.betas,
        fused=next(model.parameters()).device.type in ("cpu", "cuda"),
    )
    adamw_names = {name: p for named in adamw_groups.values() for name, p in named.items()}
    if not with_muon:
        return Optimizers(config=config, adamw=adamw, adamw_names=adamw_names, muon=None)
    muon = Muon(
        groups["hidden"],
        lr=config.muon_lr,
        weight_decay=config.weight_decay,
        splits=matrix_splits(model, groups["hidden"]),
    )
    return Optimizers(config=config, adamw=adamw, adamw_names=adamw_names, muon=muon)


def matrix_splits(model: nn.Module, hidden: Mapping[str, Tensor]) -> dict[str, list[int]]:
    """The rows of queries, keys and values in every fused projection."""
    return {
        f"{name}.qkv.weight": [heads * module.d_head for heads in module.sizes]
        for name, module in model.named_modules()
        if isinstance(module, SelfAttention) and f"{name}.qkv.weight" in hidden
    }


def _like(tensor: Tensor, parameter: Tensor) -> Tensor:
    """A loaded buffer on the parameter's device; sharded as it is, unless a scalar."""
    tensor = tensor.to(parameter.device)
    if tensor.ndim and tensor.shape != parameter.shape:
        raise CheckpointError(
            f"An optimizer buffer has shape {tuple(tensor.shape)}, its parameter "
            f"{tuple(parameter.shape)}. Resume with the recipe that wrote it."
        )
    return shard_like(tensor, parameter) if tensor.ndim else tensor.clone()
