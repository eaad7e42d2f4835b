"""What each head does: attends back, finds a repetition, continues one, rests on the first token.

Its question is what a head is for, over many texts; `head_ablation` asks who matters for one answer
of one prompt. Both replace a head by its mean in the same way, each over its own text.

On random tokens said twice: attention to the token before, to the same token's first copy
(duplicate token), to the token after that copy (induction, or prefix matching) and to the first
token. The change in loss is measured on the second copy and, when `texts` are given, on them.

Control: the same scores in untrained models; a panel's title gives the best that any of their heads
reached. A head matters when its loss change is above zero with its whole interval; these intervals
hold for all heads of a table at once (Bonferroni), so that the largest of many is no accident.
Heads that do the same job hide each other: a small change is no proof of uselessness.

Units: scores in [0, 1], with intervals of each head alone, from resampled sequences; loss change in
nats per token, ablated - clean, with simultaneous intervals. n = sequences or texts.

    interp run heads --texts @stories.jsonl --ablation mean --csv heads.csv
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.analyses.attention_heads._head_ablation import (
    Kind,
    head_ablations,
    mean_outputs,
    text_loss,
)
from interp.core.cost import Work, announce_work
from interp.core.errors import ConfigError, NotEnoughDataError
from interp.core.positions import numbers_within
from interp.core.progress import progress_range
from interp.core.protocols import LanguageModel
from interp.core.statistics.intervals import Interval, mean_interval, plain
from interp.core.statistics.significance import simultaneous_means
from interp.methods.batches import encoded_texts, reading
from interp.methods.head_scores import (
    SCORES,
    copy_length,
    head_scores,
    repeated_tokens,
    second_copy_loss,
)
from interp.methods.untrained import untrained_twins
from interp.results.provenance import provenance
from interp.results.result import Result

REPEATED, TEXTS = "repeated tokens", "texts"
LEAST_INDUCTION = 0.25
"""Of an induction head: less of its attention than a quarter names no habit."""


@dataclass(frozen=True, kw_only=True)
class Heads(Result):
    """Scores of every head, the same in untrained models, and what its absence costs.

    Attributes:
        scores: mean attention weight where each of `SCORES` says to look; bound = value, low, high.
        untrained: scores in untrained models of the same config, one a seed.
        ablation: loss change in nats per token, ablated - clean, on each of `ablated_on`; the
            intervals of one text's heads hold together.
        ablated_on: `repeated tokens` (their second copy), `texts`.
        clean_loss: nats per token without ablation, on each of `ablated_on`.
        kind: of ablation: `mean` or `zero`.
        copy_length: tokens in each copy of a repeated sequence.
        n_sequences: repeated sequences.
        uniform_nats: what a token costs a uniform guess over the vocabulary.
        only_layers: the layers that were asked for, whose heads are in the tables; empty = all.
        simultaneous: whether intervals of `ablation` hold for all heads of a text at once; in
            results of earlier versions each is of its head alone.
    """

    scores: Float[Tensor, "score layer head bound"]
    untrained: Float[Tensor, "seed score layer head"]
    ablation: Float[Tensor, "text layer head bound"]
    ablated_on: tuple[str, ...]
    clean_loss: tuple[Interval, ...]
    kind: str
    copy_length: int
    n_sequences: int
    uniform_nats: float | None = None
    only_layers: tuple[int, ...] = ()
    simultaneous: bool = False
    columns: ClassVar = {
        "score": "scores",
        "untrained_score": "untrained",
        "loss_change_nats": "ablation",
    }
    labels: ClassVar = {
        "score": ("score", tuple(SCORES)),
        "text": ("text", "ablated_on"),
        "layer": ("layer", "layers"),
    }

    @property
    def layers(self) -> tuple[int, ...]:
        """The number of each layer of the tables."""
        return self.only_layers or tuple(range(self.scores.shape[1]))

    @property
    def matters(self) -> Bool[Tensor, "text layer head"]:
        """Heads without which the loss grows with its whole interval; see `simultaneous`."""
        return self.ablation[..., 1] > 0

    @property
    def untrained_best(self) -> Float[Tensor, " score"]:
        """The highest score of any head of any untrained model; nan without one."""
        if not len(self.untrained):
            return torch.full((len(SCORES),), float("nan"))
        return self.untrained.amax((0, 2, 3))

    def best(self, score: str) -> tuple[int, int]:
        """Layer and head with the highest score."""
        row, head = self._best(SCORES.index(score))
        return self.layers[row], head

    def _best(self, score: int) -> tuple[int, int]:
        """Row of the tables and head."""
        values = self.scores[score, :, :, 0].nan_to_num(-math.inf)
        return divmod(int(values.argmax()), values.shape[1])

    def finding(self) -> str:
        score = SCORES.index("induction")
        row, head = self._best(score)
        name, here = f"{self.layers[row]}.{head}", f"here{self._only()}"
        threshold = self.untrained_best[score]
        control = (
            f"best of {len(self.untrained)} untrained models {threshold:.2f}"
            if len(self.untrained)
            else "no untrained control"
        )
        value, low, _ = self.scores[score, row, head].tolist()
        reached = plain(Interval.of(self.scores[score, row, head], self.n_sequences))
        if value < LEAST_INDUCTION or low <= threshold.nan_to_num(0.0):
            return (
                f"Heads: no head is an induction head {here}. The highest score, of {name}, "
                f"is {reached}, where one has {LEAST_INDUCTION:g} or more and lies with its whole "
                f"interval above all untrained heads ({control}).{self._out_of_range()}"
            )
        effect = ""
        if len(self.ablation):
            change = plain(Interval.of(self.ablation[0, row, head], self.n_sequences))
            effect = f"; without it the repetition costs {change} nats per token more"
        return (
            f"Heads: {name} is an induction head, with the highest score{self._only()}, {reached} "
            f"({control}){effect}.{self._out_of_range()}"
        )

    def _only(self) -> str:
        """That other layers, of the model and of its controls, were not looked at."""
        if not self.only_layers:
            return ""
        return f" (of layer{'s' * (len(self.layers) > 1)} {', '.join(map(str, self.layers))} only)"

    def _out_of_range(self) -> str:
        """That random tokens said twice are nothing that this model can read."""
        if not self.clean_loss or self.uniform_nats is None:
            return ""
        if (loss := self.clean_loss[0].value) <= self.uniform_nats:
            return ""
        better = "those on the texts say more" if len(self.clean_loss) > 1 else "give texts"
        return (
            f" Random tokens said twice are far from any text that it has learned: they cost "
            f"{loss:.1f} nats each where a uniform guess costs {self.uniform_nats:.1f}, so loss "
            f"changes there say little; {better}."
        )

    def caption(self) -> str:
        losses = ", ".join(
            f"{where} {plain(loss)} (n = {loss.n})"
            for where, loss in zip(self.ablated_on, self.clean_loss, strict=True)
        )
        ablated = (
            f"Loss change under {self.kind}-ablation of one head at a time, in nats per token "
            f"(ablated - clean; clean: {losses}). {self._mattering()}Heads that do the same job "
            "hide each other here. "
            if len(self.ablation)
            else ""
        )
        return (
            f"{self.finding()} Scores are mean attention weights on random tokens said twice "
            f"(2 x {self.copy_length}): to the token before, to the same token's first copy, to "
            "the token after that copy, to the first token. Control: the same scores in "
            f"{len(self.untrained)} untrained models of the same config. {ablated}"
            f"n = {self.n_sequences} sequences, 95 % bootstrap intervals of scores over them, not "
            f"corrected for {self.scores[0, :, :, 0].numel()} heads."
        )

    def _mattering(self) -> str:
        counts = ", ".join(
            f"{int(each.sum())} of {each.numel()} heads on {where}"
            for where, each in zip(self.ablated_on, self.matters, strict=True)
        )
        intervals = (
            "95 % intervals that hold for all heads at once"
            if self.simultaneous
            else "95 % intervals of each head alone, not corrected for their number"
        )
        return f"It lies above zero with its whole interval for {counts} ({intervals}). "


def heads(
    model: LanguageModel,
    texts: Sequence[str] = (),
    *,
    layers: Sequence[int] = (),
    n_sequences: int = 32,
    length: int = 0,
    ablation: Kind = "mean",
    untrained: int = 5,
    seed: int = 0,
) -> Heads:
    """Score every head on random tokens said twice, and take each away in turn.

    Args:
        model: any language model.
        texts: documents on which to measure ablations too, cut at the context.
        layers: whose heads to score and ablate, -1 = the last; empty = all. The untrained control
            is of the same layers.
        n_sequences: random sequences.
        length: tokens of each copy; 0 = as fits, at most 32.
        ablation: `mean` puts the mean of the head's output over the text in its place, `zero`
            nothing, `none` leaves it out. The first position is never edited nor in the mean: many
            heads rest on it (an attention sink), so what they write there is unlike the rest.
        untrained: untrained models of the same config to compare with, where they can be made.
        seed: of the sequences, the first untrained model and the resampling.
    Returns:
        Heads: scores "score layer head" in [0, 1], loss changes in nats per token.
    Raises:
        NotEnoughDataError: under two sequences, a single text, or too small a context.
        ConfigError: an unknown kind of ablation, or a layer that the model lacks.
        CostError: it would take long or much memory; says which arguments would not.
    Example:
        >>> print(heads(model, stories))  # doctest: +SKIP
    Source:
        Olsson et al. 2022, "In-context Learning and Induction Heads" (prefix matching). Ours uses
        different tokens in a copy, so that each has one place to look at.
    """
    call = dict(locals())
    _check(n_sequences, texts, ablation)
    own = numbers_within(layers, "layers", model.cfg.n_layers)
    every = own or tuple(range(model.cfg.n_layers))
    length = copy_length(model, length)
    tokens = repeated_tokens(model, n_sequences, length, seed)
    rows = encoded_texts(model, texts) if texts and ablation != "none" else []
    _announce(model, tokens.tolist(), rows, texts, every, ablation, untrained)
    ends, twins = 1.0 if ablation == "none" else 0.2, []
    for number, twin in enumerate(untrained_twins(model, untrained, seed)):
        parts = (ends * (number + each) / (untrained + 1) for each in (0, 1))
        with progress_range(*parts, f"untrained model {number + 1}: "):
            twins.append(head_scores(twin, tokens, length, every).mean(0))
    with progress_range(ends * untrained / (untrained + 1), ends):
        scores = head_scores(model, tokens, length, every)
    with progress_range(ends, 1.0):
        clean, changes = _ablations(model, rows, tokens, length, ablation, every)
    shape = (0, *scores.shape[1:])
    bounded = [
        simultaneous_means(change.flatten(1), seed=seed).float().reshape(*change.shape[1:], 3)
        for change in changes
    ]
    return Heads(
        scores=_bounds(scores, seed),
        untrained=torch.stack(twins) if twins else torch.zeros(shape),
        ablation=torch.stack(bounded) if bounded else torch.zeros(0, *shape[2:], 3),
        ablated_on=(REPEATED, TEXTS)[: len(changes)],
        clean_loss=tuple(mean_interval(loss, seed=seed) for loss in clean),
        kind=ablation,
        copy_length=length,
        n_sequences=n_sequences,
        uniform_nats=math.log(model.cfg.d_vocab),
        only_layers=own,
        simultaneous=True,
        provenance=provenance(heads, call, hooks=("pattern", "z")),
    )


def _check(n_sequences: int, texts: Sequence[str], ablation: str) -> None:
    if ablation not in ("mean", "zero", "none"):
        raise ConfigError(f"heads needs ablation 'mean', 'zero' or 'none'; got {ablation!r}.")
    if n_sequences < 2 or len(texts) == 1 or isinstance(texts, str):
        raise NotEnoughDataError(
            "heads needs two sequences or more, and a list of two texts or more (or none), for its "
            f"intervals; got n_sequences = {n_sequences} and a {type(texts).__name__} of "
            f"{len(texts)}."
        )


def _announce(
    model: LanguageModel,
    tokens: list[list[int]],
    rows: list[list[int]],
    texts: Sequence[str],
    layers: tuple[int, ...],
    ablation: Kind,
    untrained: int,
) -> None:
    def work(layers: Sequence[int], texts: Sequence[str], n_sequences: int) -> Work:
        said, read = tokens[:n_sequences], rows[: len(texts)]
        points = [("pattern", layer) for layer in layers]
        passes = [reading(model, said, times=1 + untrained, cache=points, logits=False)]
        if ablation != "none":
            times = 2 + len(layers) * model.cfg.n_heads  # the means and the clean loss
            passes += [reading(model, each, times=times) for each in (said, read) if each]
        return Work(passes=tuple(passes), copies=min(untrained, 2), draws=untrained)

    choices = {
        "layers": range(len(layers) - 1, 0, -1),
        "texts": range(len(rows) - 1, 1, -1),
        "n_sequences": range(len(tokens) - 1, 1, -1),
    }
    announce_work(
        model,
        work,
        {"layers": layers, "texts": tuple(texts), "n_sequences": len(tokens)},
        choices if ablation != "none" else {"n_sequences": choices["n_sequences"]},
        smaller="Fewer layers, texts and sequences take less (layers=, texts=, n_sequences=, "
        "length=), and so do no ablations (ablation='none'); head_ablation asks about one prompt.",
    )


def _ablations(
    model: LanguageModel,
    rows: list[list[int]],
    tokens: Tensor,
    length: int,
    kind: Kind,
    layers: Sequence[int],
) -> tuple[list[Tensor], list[Float[Tensor, "row layer head"]]]:
    """Clean losses and loss changes on the repeated tokens and, if there are any, the texts."""
    if kind == "none":
        return [], []

    def repetition(edits: Sequence) -> Tensor:
        return second_copy_loss(model, tokens, length, edits)

    ends = 0.5 if rows else 1.0
    with progress_range(0.0, ends):
        means = mean_outputs(model, tokens.tolist())
        pairs = [head_ablations(model, kind, means, repetition, layers)]
    if rows:
        with progress_range(ends, 1.0, "texts, "):
            means = mean_outputs(model, rows)

            def on_texts(edits: Sequence) -> Tensor:
                return text_loss(model, rows, edits)

            pairs.append(head_ablations(model, kind, means, on_texts, layers))
    return [clean for clean, _ in pairs], [change for _, change in pairs]


def _bounds(values: Float[Tensor, "row ..."], seed: int) -> Float[Tensor, "... 3"]:
    """Mean over rows with the ends of its interval, for every entry."""
    flat = values.flatten(1).unbind(1)
    intervals = [mean_interval(column, seed=seed) for column in flat]
    bounds = torch.tensor([(each.value, each.low, each.high) for each in intervals])
    return bounds.reshape(*values.shape[1:], 3)
