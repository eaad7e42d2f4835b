"""What each head, neuron and weight does for an answer's lead: gradient times size.

The lead is the log-odds of the answer against its nearest rival: where the answer is nearly sure,
its own log-probability hardly moves whatever is turned, and would tell nothing.
"""

import torch
from jaxtyping import Int
from torch import Tensor

from interp.analyses.interventions._component_scaling import Kind
from interp.core.edits import Call, Edit
from interp.core.protocols import LanguageModel
from interp.methods.data.answer_loss import PromptAnswer, answer_loss
from interp.methods.parameters import parameters_of, shell_of, weight_name

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
