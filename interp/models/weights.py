"""A GPT's parameters: how they begin, what they are called, and their fingerprint."""

import hashlib
import math
import re
from typing import Protocol

import torch
from einops import rearrange
from torch import Tensor, nn

from interp.core.errors import CheckpointError, HookNameError, TrainingError, near_misses
from interp.core.hooks import Name
from interp.core.precision import check_weights
from interp.models.config import GPTConfig


class Named(Protocol):
    """The parts of a transformer whose weights have TransformerLens' names."""

    cfg: GPTConfig
    device: torch.device
    embed: nn.Embedding
    pos_embed: nn.Embedding | None
    blocks: nn.ModuleList
    ln_final: nn.Module
    head: nn.Linear | None


@torch.no_grad()
def initialize(model: nn.Module, cfg: GPTConfig, seed: int) -> None:
    """Draw every matrix anew from a generator of its own; norms and biases start as identity.

    Raises:
        TrainingError: a weight is not finite (a standard deviation that cannot be).
    """
    random = torch.Generator().manual_seed(seed)
    for name, module in model.named_modules():
        if not isinstance(module, nn.Linear | nn.Embedding):
            continue
        std = _std(name, module, cfg)
        module.weight.normal_(generator=random).mul_(std)
        if getattr(module, "bias", None) is not None:
            module.bias.zero_()
    broken = [name for name, p in model.named_parameters() if not p.isfinite().all()]
    if broken:
        raise TrainingError(f"Weights must start finite; {broken[0]} is not. Check init_std.")


def _std(name: str, module: nn.Module, cfg) -> float:
    if isinstance(module, nn.Embedding):
        return cfg.embed_std
    if name == "head":
        return cfg.head_std
    std = module.in_features**-0.5 if cfg.init_std is None else cfg.init_std
    if name.endswith(("attn.out", "mlp.down")):
        return 0.0 if cfg.zero_projections else std / math.sqrt(2 * cfg.n_layers)
    return std


def check_weight(name: str, tensor: Tensor, where: str) -> None:
    """Refuse a weight that is no finite real number somewhere.

    Args:
        name: the tensor's name in `where`.
        tensor: the weight as it was read.
        where: the file or folder, for the sentence.

    Raises:
        CheckpointError: whole numbers or an 8-bit kind (a quantised weight without its scales), or
            a NaN or an infinity.
    """
    kind = str(tensor.dtype).removeprefix("torch.")
    if tensor.dtype not in REAL:
        raise CheckpointError(
            f"Weights must be float64, float32, float16 or bfloat16; {name} in {where} is {kind}. "
            "It may be quantised: get the model's unquantised weights, or a GGUF file."
        )
    if tensor.numel() and not all(bound.isfinite() for bound in tensor.detach().aminmax()):
        count = int((~tensor.isfinite()).sum())
        raise CheckpointError(
            f"Weights must be finite; {count} of the {tensor.numel():,} numbers of {name} in "
            f"{where} ({kind}) are NaN or infinite. The file is damaged, its training went wrong, "
            "or its numbers are too large for this dtype."
        )


REAL = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def hash_of(model: nn.Module) -> str:
    """16 hex digits of the SHA-256 over names, shapes, kinds and bytes of all parameters.

    Kept while no parameter is replaced or written to. Torch's own count of writes is not enough:
    fused optimizers do not raise it. So the sum of all bits is looked at too, which is cheap.

    Raises:
        NonFiniteError: a weight is NaN or infinite.
    """
    state = tuple((id(p), _version(p), _sum_of_bits(p)) for p in model.parameters())
    entry = model.__dict__.get("_hash")
    if entry is None or entry[0] != state:
        entry = model.__dict__["_hash"] = (state, _digest(model))
    return entry[1]


def _version(parameter: Tensor) -> int:
    return 0 if parameter.is_inference() else parameter._version


def _sum_of_bits(parameter: Tensor) -> int:
    """In whole words of memory, since torch widens single numbers first, which takes 20 times as
    long. An overflow wraps around; a changed number changes the sum all the same."""
    numbers, size = parameter.detach().reshape(-1), parameter.element_size()
    singles, in_word = numbers.view(WHOLE[size]), 8 // size
    start = -numbers.storage_offset() % in_word  # a word begins at a multiple of its size
    end = start + (len(numbers) - start) // in_word * in_word
    if end <= start:
        return int(singles.sum())
    words = numbers[start:end].view(torch.int64)
    return int(words.sum()) + int(singles[:start].sum()) + int(singles[end:].sum())


def _digest(model: nn.Module) -> str:
    digest = hashlib.sha256()
    check_weights(dict(model.named_parameters()))
    for name, parameter in sorted(model.named_parameters()):
        data = parameter.detach().cpu().contiguous()
        digest.update(f"{name} {data.dtype} {tuple(data.shape)}\n".encode())
        digest.update(data.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def named(model: Named, name: Name) -> Tensor:
    """A weight by TransformerLens' name, in its layout; a bias the model lacks is zeros.

    Args:
        name: `W_E` (d_vocab d_model), `W_pos` (n_ctx d_model), `W_U` (d_model d_vocab), `b_U`,
            `ln_final.w`; or with a layer, `("W_Q", 0)` = `blocks.0.attn.W_Q`: `W_Q W_K W_V` (head
            d_model d_head; keys and values have kv_head), `W_O` (head d_head d_model), `b_Q b_K
            b_V` (head d_head), `b_O`, `W_in W_gate` (d_model d_mlp), `W_out` (d_mlp d_model),
            `b_in b_gate b_out`, `ln1.w ln1.b ln2.w ln2.b q_norm.w k_norm.w`.

    Raises:
        HookNameError: no such weight.
    """
    short, layer = split_name(name)
    weight = _outer(model, short) if layer is None else None
    if layer is not None and -len(model.blocks) <= layer < len(model.blocks):
        weight = _inner(model.blocks[layer], short)
    if weight is None:
        raise HookNameError(_unknown(model, name, short, layer))
    return weight.detach()


_OUTER = ("W_E", "W_pos", "W_U", "b_U", "ln_final.w", "ln_final.b")
_QKV = {"Q": 0, "K": 1, "V": 2}
_MLP = {"in": "up", "gate": "gate", "out": "down"}
_NORMS = ("ln1.w", "ln1.b", "ln2.w", "ln2.b", "q_norm.w", "k_norm.w")
_INNER = (*(f"{x}_{y}" for x in "Wb" for y in ("Q", "K", "V", "O", "in", "gate", "out")), *_NORMS)


def split_name(name: Name) -> tuple[str, int | None]:
    """A weight's short name, and its layer if it has one: `blocks.2.attn.W_O` = `("W_O", 2)`."""
    if not isinstance(name, str):
        return name
    match = re.fullmatch(r"blocks\.(\d+)\.(.+)", name)
    short, layer = (match[2], int(match[1])) if match else (name, None)
    return re.sub(r"^(attn|mlp|embed|pos_embed|unembed)\.", "", short), layer


def _outer(model: Named, short: str) -> Tensor | None:
    if short == "W_E":
        return model.embed.weight
    if short == "W_U":
        return (model.head or model.embed).weight.T
    if short == "b_U":
        return torch.zeros(model.cfg.d_vocab, device=model.device)
    if short == "W_pos" and model.pos_embed is not None:
        return model.pos_embed.weight
    return _norm(model.ln_final, short[-1]) if short in _OUTER[-2:] else None


def _inner(block: nn.Module, short: str) -> Tensor | None:
    kind, _, part = short.partition("_")
    if short in _NORMS:
        module, letter = short.split(".")
        return _norm(getattr(block, module, None) or getattr(block.attn, module, None), letter)
    if part in _QKV:
        return _attention_in(block.attn, kind, _QKV[part])
    if part == "O":
        out = block.attn.out
        if kind == "W":
            pattern = "d_model (head d_head) -> head d_head d_model"
            return rearrange(out.weight, pattern, d_head=block.attn.d_head)
        return _bias(out)
    linear = getattr(block.mlp, _MLP.get(part, ""), None) if block.mlp is not None else None
    if linear is None:
        return None
    return linear.weight.T if kind == "W" else _bias(linear)


def _attention_in(attn: nn.Module, kind: str, part: int) -> Tensor | None:
    source = attn.qkv.weight if kind == "W" else _bias(attn.qkv)
    rows = source.split([heads * attn.d_head for heads in attn.sizes])[part]
    pattern = "(head d_head) d_model -> head d_model d_head"
    pattern = pattern if kind == "W" else "(head d_head) -> head d_head"
    return rearrange(rows, pattern, d_head=attn.d_head)


def _norm(norm: nn.Module | None, letter: str) -> Tensor | None:
    if norm is None or letter == "w":
        return None if norm is None else norm.weight
    return torch.zeros_like(norm.weight) if norm.bias is None else norm.bias


def _bias(linear: nn.Linear) -> Tensor:
    return linear.weight.new_zeros(linear.out_features) if linear.bias is None else linear.bias


def _unknown(model: Named, name: Name, short: str, layer: int | None) -> str:
    layers = f" This model has layers 0-{len(model.blocks) - 1}."
    if layer is None and short in _INNER:
        return (
            f"The weight {short!r} stands in every layer: give one, as in ({short!r}, 0).{layers}"
        )
    names = _OUTER if layer is None else _INNER
    return f"This model has no weight {name!r}.{near_misses(short, names)}{layers}"
