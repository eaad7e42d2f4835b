"""A model's parameters as numbers to differentiate, and what each of them belongs to.

The loaded model is never written to, nor are its modules swapped: every pass runs through a shell
of its own (`shell_of`), which other threads do not see.

    params = parameters_of(model)                      # leaves of their own, by PyTorch's names
    loss = losses_of(model, params, tokens).mean()     # nats per predicted token
    grads = dict(zip(params, torch.autograd.grad(loss, params.values())))
    for part in slices(model):                         # each parameter is in exactly one slice
        print(part.label, grads[part.tensor][part.index].norm())   # W_Q[2, 1] 0.03
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call

from interp.core.errors import ConfigError, HookNameError
from interp.core.precision import check_weights
from interp.core.protocols import LanguageModel
from interp.core.surprisal import surprisal

Parameters = dict[str, Tensor]
"""By PyTorch's name: `blocks.2.attn.qkv.weight`, in PyTorch's layout (outputs first)."""

Kind = Literal["head", "kv_head", "neuron", "token", "position", "norm", "bias"]
Index = tuple[int | slice, ...]
OUTER_MATRICES = ("W_E", "W_pos")
BLOCK_MATRICES = ("W_Q", "W_K", "W_V", "W_O", "W_in", "W_gate", "W_out")


def parameters_of(
    model: LanguageModel, *, dtype: torch.dtype | None = None, shared: bool = False
) -> Parameters:
    """The model's parameters as leaves that ask for gradients.

    Args:
        model: stays as it is.
        dtype: of the leaves; None = the model's own.
        shared: True = no copy is made where the kind is the same: then never write to them.

    Raises:
        ConfigError: the model is not one of ours, so that its parts cannot be told apart.
        NonFiniteError: a weight is NaN or infinite.
    """
    detached = {name: p.detach() for name, p in _module(model).named_parameters()}
    check_weights(detached)
    weights = {name: p.to(dtype or p.dtype, copy=not shared) for name, p in detached.items()}
    return {name: p.requires_grad_() for name, p in weights.items()}


def shell_of(model: LanguageModel) -> nn.Module:
    """The model's modules anew around the same weights; for `functional_call` and nothing else.

    `functional_call` puts other weights into the modules while it runs, which another thread
    would see if these were the loaded model's own.
    """
    module = _module(model)
    kept = (*module.parameters(), *module.buffers(), model.tokenizer, getattr(model, "history", 0))
    shell = copy.deepcopy(module, {id(thing): thing for thing in kept})
    return shell.eval()


def losses_of(
    model: LanguageModel, params: Mapping[str, Tensor], tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch pos-1"]:
    """Nats of each predicted token under other weights, without dropout.

    Args:
        model: gives the shape of the computation.
        params: all its parameters, as `parameters_of` gives them.
        tokens: padded on the right if at all, since nothing sees what comes after it.
    """
    logits = functional_call(shell_of(model), dict(params), (tokens[:, :-1],))
    return surprisal(logits, tokens[:, 1:])


@dataclass(frozen=True, kw_only=True)
class Slice:
    """A piece of one parameter tensor that belongs to one head, neuron, token, norm or bias.

    Attributes:
        label: as in TransformerLens: `W_Q[2, 1]` (layer, head), `W_in[0][:, 17]`, `W_E[5]`.
        kind: what it belongs to.
        tensor: PyTorch's name of the tensor.
        index: of the piece in it.
        matrix: TransformerLens' name of the whole, `W_Q[2]`.
        layer: None for embeddings and the final norm.
        number: of the head, neuron, token or position; None for a norm or a shared bias.
    """

    label: str
    kind: Kind
    tensor: str
    index: Index
    matrix: str
    layer: int | None = None
    number: int | None = None


def slices(model: LanguageModel) -> Iterator[Slice]:
    """Every parameter, each in exactly one slice, in the order of the forward pass."""
    module = _module(model)
    yield from _rows("W_E", "token", "embed.weight", model.cfg.d_vocab)
    if module.pos_embed is not None:
        yield from _rows("W_pos", "position", "pos_embed.weight", model.cfg.n_ctx)
    parameters = dict(module.named_parameters())
    for layer in range(model.cfg.n_layers):
        at = f"blocks.{layer}"
        yield from _norms(parameters, f"{at}.ln1", "ln1", layer)
        yield from _heads(model, parameters, layer)
        yield from _norms(parameters, f"{at}.ln2", "ln2", layer)
        yield from _neurons(model, parameters, layer)
    yield from _norms(parameters, "ln_final", "ln_final", None)
    if module.head is not None:
        yield from _rows("W_U", "token", "head.weight", model.cfg.d_vocab, ":, ")


def _rows(name: str, kind: Kind, tensor: str, count: int, before: str = "") -> Iterator[Slice]:
    """PyTorch's rows; of a linear map's weight they are TransformerLens' columns (`:, `)."""
    for i in range(count):
        at = dict(tensor=tensor, index=(i,), matrix=name, number=i)
        yield Slice(label=f"{name}[{before}{i}]", kind=kind, **at)


def _norms(parameters: Mapping, at: str, name: str, layer: int | None) -> Iterator[Slice]:
    for tensor, letter in ((f"{at}.weight", "w"), (f"{at}.bias", "b")):
        if tensor in parameters:
            yield _whole(tensor, f"{name}.{letter}", "norm", layer)


def _whole(tensor: str, name: str, kind: Kind, layer: int | None) -> Slice:
    label = name if layer is None else f"{name}[{layer}]"
    return Slice(label=label, kind=kind, tensor=tensor, index=(), matrix=label, layer=layer)


def _heads(model: LanguageModel, parameters: Mapping, layer: int) -> Iterator[Slice]:
    cfg, at = model.cfg, f"blocks.{layer}.attn"
    groups = getattr(cfg, "n_key_value_heads", cfg.n_heads)
    shared: Kind = "head" if groups == cfg.n_heads else "kv_head"
    for end, letter in (("weight", "W"), ("bias", "b")):
        start = 0
        for part, heads in (("Q", cfg.n_heads), ("K", groups), ("V", groups)):
            for head in range(heads if f"{at}.qkv.{end}" in parameters else 0):
                place = slice(start, start + cfg.d_head)
                kind: Kind = "head" if part == "Q" else shared
                yield _head(f"{letter}_{part}", kind, f"{at}.qkv.{end}", (place,), layer, head)
                start += cfg.d_head
    for norm in ("q_norm", "k_norm"):
        yield from _norms(parameters, f"{at}.{norm}", norm, layer)
    for head in range(cfg.n_heads):
        place = (slice(None), slice(head * cfg.d_head, (head + 1) * cfg.d_head))
        yield _head("W_O", "head", f"{at}.out.weight", place, layer, head)
    if f"{at}.out.bias" in parameters:
        yield _whole(f"{at}.out.bias", "b_O", "bias", layer)


def _head(name: str, kind: Kind, tensor: str, index: Index, layer: int, head: int) -> Slice:
    about = dict(matrix=f"{name}[{layer}]", layer=layer, number=head)
    label = f"{name}[{layer}, {head}]"
    return Slice(label=label, kind=kind, tensor=tensor, index=index, **about)


def _neurons(model: LanguageModel, parameters: Mapping, layer: int) -> Iterator[Slice]:
    at = f"blocks.{layer}.mlp"
    for part, name in (("gate", "gate"), ("up", "in"), ("down", "out")):
        for end, letter in (("weight", "W"), ("bias", "b")):
            tensor, matrix = f"{at}.{part}.{end}", f"{letter}_{name}[{layer}]"
            if tensor in parameters and part == "down" and letter == "b":
                yield _whole(tensor, "b_out", "bias", layer)
            elif tensor in parameters:
                for n in range(model.cfg.d_mlp):
                    yield _neuron(tensor, matrix, layer, n)


def _neuron(tensor: str, matrix: str, layer: int, n: int) -> Slice:
    out, bias = matrix.startswith("W_out"), matrix.startswith("b")
    index: Index = (slice(None), n) if out else (n,)
    label = f"{matrix}[{n}]" if out or bias else f"{matrix}[:, {n}]"
    about = dict(tensor=tensor, index=index, matrix=matrix, layer=layer, number=n)
    return Slice(label=label, kind="neuron", **about)


def weight_matrices(
    model: LanguageModel,
) -> dict[tuple[str, ...] | tuple[str, int], Float[Tensor, "row column"]]:
    """Each weight matrix by its name and, in a block, its layer; what a model lacks is left out.

    Args:
        model: any language model.
    Returns:
        In single precision on the CPU, by `("W_E",)` or `("W_Q", 2)`; of an attention matrix the
        heads lie side by side.
    """
    names = [(name,) for name in OUTER_MATRICES]
    names += [(name, layer) for layer in range(model.cfg.n_layers) for name in BLOCK_MATRICES]
    matrices = {}
    for name in [*names, ("W_U",)]:
        try:
            weight = model.weight(name[0] if len(name) == 1 else name)
        except HookNameError:  # no learned positions, no gate
            continue
        matrices[name] = _heads_side_by_side(weight, name[0]).float().cpu()
    return matrices


def _heads_side_by_side(weight: Tensor, name: str) -> Float[Tensor, "row column"]:
    if weight.ndim == 2:
        return weight
    if name == "W_O":
        return rearrange(weight, "head d_head d_model -> (head d_head) d_model")
    return rearrange(weight, "head d_model d_head -> d_model (head d_head)")


def weight_name(model: LanguageModel, tensor: str, place: int) -> str:
    """TransformerLens' name of one weight: `W_Q[2, 1][17, 3]`, `W_in[0][5, 17]`, `W_E[5, 3]`.

    Args:
        model: that it belongs to.
        tensor: PyTorch's name.
        place: of the weight in the flattened tensor.
    """
    shape = _module(model).get_parameter(tensor).shape
    at = tuple(int(i) for i in torch.unravel_index(torch.tensor(place), shape))
    short, end = tensor.split(".")[-2:]
    layer = tensor.split(".")[1] if tensor.startswith("blocks.") else ""
    if short == "qkv" or (short == "out" and end == "weight"):
        return _name_in_a_head(model.cfg, short, end, int(layer), at)
    letter = ("W" if short in _NAMES else "w") if end == "weight" else "b"
    name = f"{letter}_{_NAMES[short]}" if short in _NAMES else f"{short}.{letter}"
    turned = len(at) == 2 and short not in ("embed", "pos_embed")
    inner = ", ".join(map(str, at[::-1] if turned else at))
    return f"{name}[{layer}][{inner}]" if layer else f"{name}[{inner}]"


_NAMES = {"embed": "E", "pos_embed": "pos", "head": "U", "out": "O"}
_NAMES |= {"up": "in", "gate": "gate", "down": "out"}


def _name_in_a_head(cfg: Any, short: str, end: str, layer: int, at: tuple[int, ...]) -> str:
    head, inner = divmod(at[1] if short == "out" else at[0], cfg.d_head)
    if short == "out":
        return f"W_O[{layer}, {head}][{inner}, {at[0]}]"
    groups = getattr(cfg, "n_key_value_heads", cfg.n_heads)
    first = {"Q": 0, "K": cfg.n_heads, "V": cfg.n_heads + groups}
    part = max((part for part in first if head >= first[part]), key=first.get)
    place = f"{at[1]}, {inner}" if end == "weight" else f"{inner}"
    return f"{'W' if end == 'weight' else 'b'}_{part}[{layer}, {head - first[part]}][{place}]"


def _module(model: LanguageModel) -> nn.Module:
    """The model itself, if its parameters can be followed.

    Raises:
        ConfigError: it is not one of ours.
    """
    if isinstance(model, nn.Module) and hasattr(model, "blocks") and hasattr(model, "embed"):
        return model
    raise ConfigError(
        "Following single parameters needs a model in this package's own layout; "
        f"{getattr(model, 'name', model)} is a {type(model).__name__}. Train one, or open one of "
        "the GPT-2, Llama or Qwen 3 families with interp.load_model."
    )
