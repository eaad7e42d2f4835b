"""Turn heads, neurons and single weights, and see the next token's probabilities move.

Without turns the figure sweeps the head, the neuron and the weight that count most. A pull is
gradient times size: the first-order change, for a doubled part, of the answer's lead (log-odds)
over its nearest rival. Heads and neurons are turned at every position but the first; a weight
wherever it is used.

Control: random parts of the same kinds scaled alike (heads of any layer, neurons of the same layer,
weights of the same matrix).

Units: probabilities in [0, 1]; KL(before || after) and pulls in nats. n = 1 prompt, so no interval:
what a part does for one text says little of others.

    interp run component_scaling --prompt "It is a sunny morning. Anna is in the"
        --turns "head 3.1 * 0" --html scaling.html
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.analyses.interventions._component_scaling import (
    Dial,
    Pull,
    own_tensor,
    pulls,
    read_dial,
    turn_dials,
)
from interp.core.cost import Passes, announce
from interp.core.display import percent
from interp.core.errors import ConfigError
from interp.core.progress import report_progress
from interp.core.protocols import LanguageModel, Prompt
from interp.methods.batches import rows_at_once
from interp.methods.data.answer_loss import PromptAnswer
from interp.methods.distributions import followed_tokens, kl_divergence
from interp.methods.parameters import shell_of
from interp.methods.prompts import displayed, one_row
from interp.results.provenance import provenance
from interp.results.result import Result

MOST_DIALS, POINTS, MOST_VALUES = 6, 21, 2**26
KINDS = 3  # heads, neurons, weights: of each the first suggestion is swept
LEAST, LARGEST = -2.0, 3.0
WEIGHT_REACH = 20.0


@dataclass(frozen=True, kw_only=True)
class ComponentScaling(Result):
    """The next token before and after some dials were turned, and along each dial's range.

    Attributes:
        tokens: tokens of the prompt, for display.
        answer: the next token whose pulls are measured, for display.
        rival: the best other token before: the answer's lead is its log-odds against it.
        turns: the dials that were turned, as they are written (`head 2.1 * 0`).
        candidates: the best next tokens before and after, and the answer, for display.
        before: probabilities of the candidates with every dial as it was.
        after: probabilities of the candidates with the dials turned.
        kl_nats: KL(before || after) of the next token.
        random_kl: KL(before || after) when random parts of the same kinds are scaled alike.
        suggested: the heads, neurons and weights that count most for the answer.
        suggested_kinds: `head`, `neuron` or `weight`, of each suggestion.
        pulls: gradient times size of each suggestion: to first order, what the answer's lead
            changes by per unit of the part's factor, in nats.
        swept_dials: the dials that were swept: those turned, or the first suggestion of each kind.
        units: `factor` or `value`: what each dial was swept over.
        values: where each dial was measured along its range.
        current_values: where each dial is turned to.
        original_values: where each dial stands in the model as it is.
        probabilities: probabilities of the candidates along each dial, the others as turned.
    """

    tokens: tuple[str, ...]
    answer: str
    rival: str
    turns: tuple[str, ...]
    candidates: tuple[str, ...]
    before: Float[Tensor, " k"]
    after: Float[Tensor, " k"]
    kl_nats: float
    random_kl: tuple[float, ...]
    suggested: tuple[str, ...]
    suggested_kinds: tuple[str, ...]
    pulls: tuple[float, ...]
    swept_dials: tuple[str, ...]
    units: tuple[str, ...]
    values: Float[Tensor, "dial point"]
    current_values: tuple[float, ...]
    original_values: tuple[float, ...]
    probabilities: Float[Tensor, "dial point k"]
    former_fields: ClassVar = {
        "swept": "swept_dials",
        "now": "current_values",
        "neutral": "original_values",
    }
    columns: ClassVar = {
        "probability_before": "before",
        "probability_after": "after",
        "probability": "probabilities",
        "pull_nats": "pulls",
        "random_kl_nats": "random_kl",
    }
    axes: ClassVar = {"pulls": "suggestion", "random_kl": "draw"}
    labels: ClassVar = {
        "token": ("k", "candidates"),
        "dial": ("dial", "swept_dials"),
        "unit": ("dial", "units"),
        "at": ("dial point", "values"),
        "suggestion": ("suggestion", "suggested"),
        "kind": ("suggestion", "suggested_kinds"),
    }

    def finding(self) -> str:
        best = int(self.before.argmax())
        name, chance = self.candidates[best], self.before[best]
        if not self.turns:
            kinds = dict.fromkeys(self.suggested_kinds)
            largest = ", ".join(map(self._largest_pull, kinds))
            return (
                f"No component is scaled: {name!r} has {percent(chance, 1)}. What counts most for "
                f"{self.answer!r} against {self.rival!r}, to first order: {largest}."
            )
        now = int(self.after.argmax())
        best_now = "and stays the best" if now == best else f"and {self.candidates[now]!r} leads"
        control = "no control"
        if self.random_kl:
            low, high = min(self.random_kl), max(self.random_kl)
            control = f"{len(self.random_kl)} random ones scaled alike: {low:.2g} to {high:.2g}"
        return (
            f"{'; '.join(self.turns)}: {name!r} goes from {percent(chance, 1)} to "
            f"{percent(self.after[best], 1)} {best_now} (KL {self.kl_nats:.3g} nats; {control})."
        )

    def _largest_pull(self, kind: str) -> str:
        at = self.suggested_kinds.index(kind)
        return f"{self.suggested[at]} ({self.pulls[at]:+.3g} nats)"

    def caption(self) -> str:
        return (
            f"{self.finding()} A head or neuron is scaled at every position but the first; a "
            "weight is changed wherever it is used. A pull is gradient times size: what the lead "
            f"of {self.answer!r} over {self.rival!r} (its log-odds) would change by if the part "
            "were doubled and the model were straight, which it is not. "
            f"{self._control()}Curves scale one component at a time, the others as they are. "
            "n = 1 prompt, so no interval; one part's effect here says nothing of other texts."
        )

    def _control(self) -> str:
        """What was drawn to compare with; nothing where nothing is scaled."""
        if not len(self.random_kl):
            return ""
        return (
            f"Control: {len(self.random_kl)} draws of random parts of the same kinds (heads of any "
            "layer, neurons of the same layer, weights of the same matrix). "
        )


def component_scaling(
    model: LanguageModel,
    prompt: Prompt,
    *,
    turns: Sequence[str] = (),
    answer: str = "",
    k: int = 5,
    suggestions: int = 4,
    n_random: int = 8,
    seed: int = 0,
) -> ComponentScaling:
    """Turn parts of a model by hand and see the next token's probabilities move.

    Args:
        model: one of this package's own layout; it is not changed.
        prompt: one text, or the ids of one row.
        turns: up to six: `head 2.1 * 0` (layer and head), `neuron 3.17 * 2`, `neuron 3.17 = 1.5`,
            `W_E[5, 3] = 0.2`, `W_Q[2, 1][17, 3] * -1` (TransformerLens' names and places).
        answer: the next token whose pulls are measured (the space before a word may be left out);
            empty = the most probable.
        k: best tokens that are followed.
        suggestions: how many heads, neurons and weights with the largest pull are suggested.
        n_random: draws of random parts to compare with.
        seed: of these.
    Returns:
        ComponentScaling: probabilities before and after, a curve along each dial, suggestions.
    Raises:
        ConfigError: a turn that cannot be read or is not in this model, or too many.
        TokenError: the prompt cannot be read.
    Example:
        >>> component_scaling(model, "It is a rainy", turns=["head 2.1 * 0"])  # doctest: +SKIP
    Source:
        Simonyan et al. 2014, "Deep Inside Convolutional Networks" (gradients as importance);
        Michel et al. 2019 take heads away one by one, we also turn them past zero and beyond one.
    """
    call = dict(locals())
    if len(turns) > MOST_DIALS or k < 1 or suggestions < 1:
        raise ConfigError(
            f"component_scaling needs at most {MOST_DIALS} components, and k and suggestions of 1 "
            f"or more; got {len(turns)} components, k = {k} and suggestions = {suggestions}."
        )
    tokens = one_row(model, prompt)
    turned_dials = [read_dial(model, text) for text in turns]
    _announce(model, tokens.shape[1], len(turns), n_random)
    report_progress("this prompt", 0, 4)
    (followed,) = PromptAnswer.of(model, prompt, answer).answer[:1]
    before, after = (_log_probs(model, tokens, dials)[0] for dials in ((), turned_dials))
    ids = followed_tokens(before, after, followed, k)
    rival = next(i for i in before.topk(min(2, len(before))).indices.tolist() if i != followed)
    report_progress("gradients", 1, 4)
    suggested = pulls(model, tokens, followed, rival, suggestions)
    swept = turned_dials or _first_of_each(model, suggested)
    ranges = [_range(model, tokens, dial) for dial in swept]
    report_progress("one component at a time", 2, 4)
    # A suggestion is swept alone: nothing is turned yet.
    curves = [
        _along(model, tokens, dial, [o for o in turned_dials if o is not dial], values)
        for dial, values in zip(swept, ranges, strict=True)
    ]
    report_progress("random components", 3, 4)
    return ComponentScaling(
        tokens=displayed(model.tokenizer, tokens[0].tolist()),
        answer=displayed(model.tokenizer, [followed])[0],
        rival=displayed(model.tokenizer, [rival])[0],
        turns=tuple(dial.turn for dial in turned_dials),
        candidates=displayed(model.tokenizer, ids),
        before=before[ids].exp(),
        after=after[ids].exp(),
        kl_nats=_kl(before, after),
        random_kl=_random_kl(model, tokens, turned_dials, before, n_random, seed),
        suggested=tuple(name for _, name, _ in suggested),
        suggested_kinds=tuple(kind for kind, _, _ in suggested),
        pulls=tuple(pull for _, _, pull in suggested),
        swept_dials=tuple(dial.name for dial in swept),
        units=tuple(_unit(dial) for dial in swept),
        values=torch.stack(ranges),
        current_values=tuple(_current_value(model, dial) for dial in swept),
        original_values=tuple(_original_value(model, tokens, dial) for dial in swept),
        probabilities=torch.stack(curves)[:, :, ids].exp(),
        provenance=provenance(component_scaling, call, hooks=("z", "post")),
    )


def _announce(model: LanguageModel, width: int, n_turned: int, n_random: int) -> None:
    swept = n_turned or KINDS
    announce(
        model,
        Passes(count=3, tokens=width, logits=width, gradients=True),
        Passes(count=4 + swept + n_random, tokens=width, logits=width),
        Passes(count=swept, tokens=POINTS * width, width=width, logits=POINTS * width),
        copies=1,
        smaller="Give a shorter prompt, or fewer components (turns=) or controls (n_random=).",
    )


def _log_probs(
    model: LanguageModel, tokens: Int[Tensor, "1 pos"], dials: Sequence[Dial]
) -> Float[Tensor, "1 d_vocab"]:
    subject, edits = turn_dials(model, dials)
    return subject.run(tokens, edits=edits).logits[:, -1].double().cpu().log_softmax(-1)


def _first_of_each(model: LanguageModel, suggested: Sequence[Pull]) -> list[Dial]:
    # Reversed, so that of each kind the first and largest is the one that is left.
    first = {kind: name for kind, name, _ in reversed(suggested)}
    kinds = dict.fromkeys(kind for kind, _, _ in suggested)
    return [read_dial(model, first[kind]) for kind in kinds]


def _unit(dial: Dial) -> str:
    return "value" if dial.kind == "weight" or dial.value is not None else "factor"


def _current_value(model: LanguageModel, dial: Dial) -> float:
    """Where the dial is turned to, on its own scale."""
    if dial.value is not None:
        return dial.value
    if dial.kind != "weight":
        return dial.factor
    return float(model.weight(dial.weight)[dial.at]) * dial.factor


def _original_value(model: LanguageModel, tokens: Tensor, dial: Dial) -> float:
    """Where it stood before: 1, the weight itself, or the neuron's value at the last position."""
    if dial.kind == "weight":
        return float(model.weight(dial.weight)[dial.at])
    if dial.value is None:
        return 1.0
    layer, number = dial.place
    run = model.run(tokens, cache=[("post", layer)], logits=False)
    return float(run["post", layer][0, -1, number])


def _range(model: LanguageModel, tokens: Tensor, dial: Dial) -> Float[Tensor, " point"]:
    """Values along the dial, wide enough to hold where it stands."""
    now, low, high = _current_value(model, dial), LEAST, LARGEST
    if dial.kind == "weight":
        # One weight among thousands: only many times its matrix' root mean square shows an effect.
        matrix = model.weight(dial.weight)
        reach = WEIGHT_REACH * float(matrix.float().square().mean().sqrt()) or 1.0
        low, high = float(matrix[dial.at]) - reach, float(matrix[dial.at]) + reach
    elif dial.value is not None:
        layer, number = dial.place
        run = model.run(tokens, cache=[("post", layer)], logits=False)
        seen = run["post", layer][0, :, number].float()
        reach = 2 * float(seen.abs().max()) or 1.0
        low, high = -reach, reach
    return torch.linspace(min(low, now), max(high, now), POINTS)


def _along(
    model: LanguageModel, tokens: Tensor, dial: Dial, others: Sequence[Dial], values: Tensor
) -> Float[Tensor, "point d_vocab"]:
    """Log-probabilities of the next token along one dial, the others as they are turned."""
    subject, edits = turn_dials(model, others)
    if dial.kind == "weight":
        subject = shell_of(subject)
        own_tensor(subject, dial)
    if _unit(dial) == "factor":
        logits = _factor_logits(subject, tokens, edits, dial, values)
        return torch.cat(logits).double().cpu().log_softmax(-1)
    rows = []
    for value in values.tolist():
        if dial.kind == "weight":
            subject.weight(dial.weight)[dial.at] = value
        own = [] if dial.kind == "weight" else [replace(dial, value=value).edit()]
        rows.append(subject.run(tokens, edits=[*edits, *own]).logits[:, -1])
    return torch.cat(rows).double().cpu().log_softmax(-1)


def _factor_logits(
    subject: LanguageModel, tokens: Tensor, edits: list, dial: Dial, factors: Tensor
) -> list[Tensor]:
    """Logits under each factor, as rows of few batches."""
    size = rows_at_once(subject, tokens.shape[1], most_values=MOST_VALUES)
    return [
        subject.run(tokens.repeat(len(part), 1), edits=[*edits, dial.edit(part)]).logits[:, -1]
        for part in factors.split(size)
    ]


def _random_kl(
    model: LanguageModel,
    tokens: Tensor,
    dials: Sequence[Dial],
    before: Tensor,
    count: int,
    seed: int,
) -> tuple[float, ...]:
    if not dials:
        return ()
    draw = random.Random(seed)
    divergences = []
    for _ in range(count):
        siblings = [_sibling(model, dial, draw) for dial in dials]
        divergences.append(_kl(before, _log_probs(model, tokens, siblings)[0]))
    return tuple(divergences)


def _sibling(model: LanguageModel, dial: Dial, draw: random.Random) -> Dial:
    """Another part of the same kind, turned alike; a weight is moved by as much."""
    if dial.kind == "weight":
        matrix = model.weight(dial.weight)
        at = tuple(draw.randrange(size) for size in matrix.shape)
        change = _current_value(model, dial) - float(matrix[dial.at])
        return replace(dial, at=at, value=float(matrix[at]) + change)
    layer, number = dial.place
    while (layer, number) == dial.place:
        if dial.kind == "head":
            layer = draw.randrange(model.cfg.n_layers)
        number = draw.randrange(model.cfg.n_heads if dial.kind == "head" else model.cfg.d_mlp)
        if model.cfg.n_layers * model.cfg.n_heads == 1:
            break
    return replace(dial, place=(layer, number))


def _kl(before: Tensor, after: Tensor) -> float:
    """KL(before || after) in nats; rounding alone can bring it below 0."""
    return max(0.0, float(kl_divergence(before, after)))
