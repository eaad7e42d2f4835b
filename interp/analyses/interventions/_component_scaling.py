"""Dials: a head's or neuron's output, or a single weight, turned by a factor or to a value.

The lead of an answer is its log-odds against its nearest rival: where the answer is nearly sure,
its own log-probability hardly moves whatever is scaled, and would tell nothing.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Int
from torch import Tensor, nn

from interp.core.edits import Call, Edit, Replace, Scale
from interp.core.errors import ConfigError, HookNameError
from interp.core.protocols import LanguageModel
from interp.methods.data.answer_loss import PromptAnswer, answer_loss
from interp.methods.parameters import parameters_of, shell_of, weight_name

Kind = Literal["head", "neuron", "weight"]
OUTER = ("W_E", "W_pos", "W_U", "ln_final.w", "ln_final.b")
FORM = (
    "A change of a component is `head 2.1 * 0`, `neuron 3.17 * 2`, `neuron 3.17 = 1.5`, "
    "`W_E[5, 3] = 0.2` or `W_Q[2, 1][17, 3] * -1` (layer and head first, then the "
    "place in the matrix)"
)


@dataclass(frozen=True, kw_only=True)
class Dial:
    """One part of a model, and where it is turned to.

    Attributes:
        kind: `head`, `neuron` or `weight`.
        name: of the part: `head 2.1`, `neuron 3.17`, `W_Q[2, 1][17, 3]`.
        place: layer and number of a head or neuron.
        weight: name of the whole tensor that a weight is in, for `model.weight`.
        at: place of the weight in that tensor.
        factor: that the part is multiplied by.
        value: that the part is set to instead.
    """

    kind: Kind
    name: str
    place: tuple[int, int] = (0, 0)
    weight: str | tuple[str, int] = ""
    at: tuple[int, ...] = ()
    factor: float = 1.0
    value: float | None = None

    @property
    def turn(self) -> str:
        """As it is written: `head 2.1 * 0`."""
        if self.value is not None:
            return f"{self.name} = {self.value:g}"
        return f"{self.name} * {self.factor:g}"

    def edit(self, factor: "float | Tensor | None" = None) -> Edit:
        """The head or neuron turned while the model runs, at every position but the first."""
        layer, number = self.place
        part: dict[str, Any] = {"hook": ("post", layer), "neurons": (number,)}
        if self.kind == "head":
            part = {"hook": ("z", layer), "heads": (number,)}
        if self.value is not None and factor is None:
            return Replace(**part, value=self.value)
        return Scale(**part, factor=self.factor if factor is None else factor)


def read_dial(model: LanguageModel, text: str) -> Dial:
    """A dial from its text; without a turn it stands at factor 1.

    Raises:
        ConfigError: not a dial, a number that is not finite, or no such part in this model.
    """
    name, sign, number = _split(text)
    named = re.fullmatch(r"(head|neuron) (\d+)\.(\d+)", name)
    dial = _part(model, name, named) if named else _weight(model, name)
    if not sign:
        return dial
    if sign == "*":
        return replace(dial, factor=number)
    if dial.kind == "head":
        raise ConfigError(f"A head has no single value to set; got {text!r}. Use `{name} * 0`.")
    return replace(dial, value=number)


def _split(text: str) -> tuple[str, str, float]:
    match = re.fullmatch(r"\s*(.+?)\s*(?:([*=×])\s*(\S+))?\s*", text)
    if match is None:
        raise ConfigError(f"{FORM}; got {text!r}.")
    try:
        number = float(match[3]) if match[2] else 1.0
    except ValueError as error:
        raise ConfigError(f"{FORM}; {match[3]!r} is no number.") from error
    if not math.isfinite(number):
        raise ConfigError(f"A change of a component needs a finite number; got {text!r}.")
    return match[1], (match[2] or "").replace("×", "*"), number


def _part(model: LanguageModel, name: str, named: re.Match[str]) -> Dial:
    layer, number = int(named[2]), int(named[3])
    count = model.cfg.n_heads if named[1] == "head" else model.cfg.d_mlp
    if layer >= model.cfg.n_layers or number >= count:
        raise ConfigError(
            f"This model has {model.cfg.n_layers} layers of {model.cfg.n_heads} heads and "
            f"{model.cfg.d_mlp} neurons, counted from 0; got {name!r}."
        )
    return Dial(kind=named[1], name=name, place=(layer, number))


def _weight(model: LanguageModel, name: str) -> Dial:
    match = re.fullmatch(r"([A-Za-z]\w*(?:\.\w)?)((?:\[[\d, ]+\])+)", name)
    if match is None:
        raise ConfigError(f"{FORM}; got {name!r}.")
    numbers = tuple(int(n) for n in re.findall(r"\d+", match[2]))
    outer = match[1] in OUTER
    weight = match[1] if outer else (match[1], numbers[0])
    at = numbers if outer else numbers[1:]
    try:
        shape = tuple(model.weight(weight).shape)
    except HookNameError as error:
        raise ConfigError(f"{name!r} is no weight of this model. {error}") from error
    if len(at) != len(shape) or any(i >= n for i, n in zip(at, shape, strict=True)):
        raise ConfigError(f"{match[1]} needs a place in its shape {shape}; got {at} in {name!r}.")
    return Dial(kind="weight", name=name, weight=weight, at=at)


def turn_dials(model: LanguageModel, dials: Sequence[Dial]) -> tuple[LanguageModel, list[Edit]]:
    """The model with weights turned, on a shell of its own, and the edits for heads and neurons.

    Raises:
        ConfigError: the model has no such weight to turn.
    """
    weights = [dial for dial in dials if dial.kind == "weight"]
    edits = [dial.edit() for dial in dials if dial.kind != "weight"]
    if not weights:
        return model, edits
    shell = shell_of(model)
    for dial in weights:
        own_tensor(shell, dial)
        old = shell.weight(dial.weight)[dial.at]
        new = old * dial.factor if dial.value is None else dial.value
        # The tensor is a view of the shell's own parameter, so that this is where it is written.
        shell.weight(dial.weight)[dial.at] = new
    return shell, edits


def own_tensor(shell: nn.Module, dial: Dial) -> None:
    """Give the shell its own copy of the tensor that the weight is in, unless it has one.

    Raises:
        ConfigError: the weight stands for one that the model does not have (a bias of zeros).
    """
    # `weight` gives a view under TransformerLens' name; its storage tells of which parameter.
    storage = shell.weight(dial.weight).untyped_storage().data_ptr()
    for name, parameter in shell.named_parameters():
        if parameter.untyped_storage().data_ptr() == storage:
            place, _, leaf = name.rpartition(".")
            own = nn.Parameter(parameter.detach().clone(), requires_grad=False)
            shell.get_submodule(place)._parameters[leaf] = own
            return
    raise ConfigError(
        f"This model has no {dial.weight}: it stands for zeros, and cannot be changed."
    )


Pull = tuple[Kind, str, float]
"""Kind, name, and the change of the answer's lead per unit of the part's factor, in nats."""


def pulls(
    model: LanguageModel, tokens: Int[Tensor, "1 pos"], answer: int, rival: int, count: int
) -> list[Pull]:
    """The heads, neurons and weights with the largest pull on the lead, the largest first.

    Args:
        model: one of this package's own layout.
        tokens: of the prompt.
        answer: id of the next token that is followed.
        rival: id of the one it is compared with.
        count: how many of each kind.
    """
    pair = (answer, rival)
    return [*_of_outputs(model, tokens, pair, count), *_of_weights(model, tokens, pair, count)]


def _of_outputs(
    model: LanguageModel, tokens: Tensor, pair: tuple[int, int], count: int
) -> list[Pull]:
    """Heads and neurons: the slope of the lead in a factor on their output."""
    sizes = {"head": model.cfg.n_heads, "neuron": 0 if model.cfg.attn_only else model.cfg.d_mlp}
    points: dict[Kind, str] = {"head": "z", "neuron": "post"}
    sensitivities: list[Pull] = []
    for kind, point in points.items():
        if not sizes[kind]:
            continue
        layers = range(model.cfg.n_layers)
        like = model.weight("W_E")
        factors = [like.new_ones(sizes[kind]).requires_grad_() for _ in layers]
        edits = [_scaled(point, layer, factors[layer]) for layer in layers]
        logits = model.run(tokens, edits=edits, grad=True).logits[0, -1]
        lead = logits[pair[0]] - logits[pair[1]]
        # By the chain rule the slope in a factor on an output is gradient . output, summed over the
        # positions: all parts of all layers from one backward pass.
        slopes = torch.stack(torch.autograd.grad(lead, factors)).float().cpu()
        for place in slopes.abs().flatten().topk(min(count, slopes.numel())).indices.tolist():
            layer, number = divmod(place, sizes[kind])
            sensitivities.append((kind, f"{kind} {layer}.{number}", float(slopes[layer, number])))
    return sensitivities


def _scaled(point: str, layer: int, factors: Tensor) -> Edit:
    """The outputs of a layer's parts, each times its factor."""
    heads = point == "z"
    return Call(
        hook=(point, layer), function=lambda x, _: x * (factors[:, None] if heads else factors)
    )


def _of_weights(
    model: LanguageModel, tokens: Tensor, pair: tuple[int, int], count: int
) -> list[Pull]:
    params = parameters_of(model, shared=True)
    prompt_answer = PromptAnswer(prompt=tuple(tokens[0].tolist()), answer=pair[:1])
    log_probs = answer_loss(shell_of(model), params, [prompt_answer]).log_probs[0]
    lead = log_probs[pair[0]] - log_probs[pair[1]]
    grads = torch.autograd.grad(lead, list(params.values()), allow_unused=True)
    best: list[tuple[float, str, int]] = []
    for (name, parameter), grad in zip(params.items(), grads, strict=True):
        if grad is None:
            continue
        # d lead / d factor at factor 1, of a weight w that stands as factor * w: grad * w.
        slopes = (grad * parameter.detach()).flatten()
        for place in slopes.abs().topk(min(count, len(slopes))).indices.tolist():
            best.append((float(slopes[place]), name, place))
    best.sort(key=lambda entry: -abs(entry[0]))
    return [("weight", weight_name(model, name, at), slope) for slope, name, at in best[:count]]
