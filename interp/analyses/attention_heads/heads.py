"""What each head does: attends back, finds a repetition, continues one, rests on the first token.

Its question is what a head is for, over many texts; `head_ablation` asks who matters for one answer
of one prompt. Both replace a head by its mean in the same way, each over its own text.

On random tokens said twice: attention to the token before, to the same token's first copy
(duplicate token), to the token after that copy (induction, or prefix matching) and to the first
token. The change in loss is measured on the second copy and, when `texts` are given, on them.

Control: the same scores in untrained models; a panel's title gives the best that any of their heads
reached. A head matters when its loss change is above zero with its whole interval. Heads that do
the same job hide each other: a small change is no proof of uselessness.

Units: scores in [0, 1]; loss change in nats per token, ablated - clean. n = sequences or texts,
which are also what is resampled.

    interp run heads --texts @stories.jsonl --ablation mean --csv heads.csv
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from interp.analyses.attention_heads._head_ablation import (
    Kind,
    head_ablations,
    mean_outputs,
    text_loss,
)
from interp.core.cost import announce
from interp.core.errors import ConfigError, NotEnoughDataError
from interp.core.progress import progress_range
from interp.core.protocols import LanguageModel
from interp.core.statistics.intervals import Interval, mean_interval, plain
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
        ablation: loss change in nats per token, ablated - clean, on each of `ablated_on`.
        ablated_on: `repeated tokens` (their second copy), `texts`.
        clean_loss: nats per token without ablation, on each of `ablated_on`.
        kind: of ablation: `mean` or `zero`.
        copy_length: tokens in each copy of a repeated sequence.
        n_sequences: repeated sequences.
        uniform_nats: what a token costs a uniform guess over the vocabulary.
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
    columns: ClassVar = {
        "score": "scores",
        "untrained_score": "untrained",
        "loss_change_nats": "ablation",
    }
    labels: ClassVar = {"score": ("score", tuple(SCORES)), "text": ("text", "ablated_on")}

    @property
    def untrained_best(self) -> Float[Tensor, " score"]:
        """The highest score of any head of any untrained model; nan without one."""
        if not len(self.untrained):
            return torch.full((len(SCORES),), float("nan"))
        return self.untrained.amax((0, 2, 3))

    def best(self, score: str) -> tuple[int, int]:
        """Layer and head with the highest score."""
        values = self.scores[SCORES.index(score), :, :, 0].nan_to_num(-math.inf)
        return divmod(int(values.argmax()), values.shape[1])

    def finding(self) -> str:
        row, (layer, head) = SCORES.index("induction"), self.best("induction")
        threshold = self.untrained_best[row]
        control = (
            f"best of {len(self.untrained)} untrained models {threshold:.2f}"
            if len(self.untrained)
            else "no untrained control"
        )
        value, low, _ = self.scores[row, layer, head].tolist()
        score = plain(Interval.of(self.scores[row, layer, head], self.n_sequences))
        if value < LEAST_INDUCTION or low <= threshold.nan_to_num(0.0):
            return (
                f"Heads: no head is an induction head here. The highest score, of {layer}.{head}, "
                f"is {score}, where one has {LEAST_INDUCTION:g} or more and lies with its whole "
                f"interval above all untrained heads ({control}).{self._out_of_range()}"
            )
        effect = ""
        if len(self.ablation):
            change = plain(Interval.of(self.ablation[0, layer, head], self.n_sequences))
            effect = f"; without it the repetition costs {change} nats per token more"
        return (
            f"Heads: {layer}.{head} is an induction head, with the highest score, {score} "
            f"({control}){effect}.{self._out_of_range()}"
        )

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
            f"(ablated - clean; clean: {losses}). Heads that do the same job hide each other here. "
            if len(self.ablation)
            else ""
        )
        return (
            f"{self.finding()} Scores are mean attention weights on random tokens said twice "
            f"(2 x {self.copy_length}): to the token before, to the same token's first copy, to "
            "the token after that copy, to the first token. Control: the same scores in "
            f"{len(self.untrained)} untrained models of the same config. {ablated}"
            f"n = {self.n_sequences} sequences, 95 % bootstrap intervals over them."
        )


def heads(
    model: LanguageModel,
    texts: Sequence[str] = (),
    *,
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
        ConfigError: an unknown kind of ablation.
    Example:
        >>> print(heads(model, stories))  # doctest: +SKIP
    Source:
        Olsson et al. 2022, "In-context Learning and Induction Heads" (prefix matching). Ours uses
        different tokens in a copy, so that each has one place to look at.
    """
    call = dict(locals())
    _check(n_sequences, texts, ablation)
    length = copy_length(model, length)
    tokens = repeated_tokens(model, n_sequences, length, seed)
    rows = encoded_texts(model, texts) if texts and ablation != "none" else []
    _announce(model, tokens.tolist(), rows, ablation, untrained)
    ends, twins = 1.0 if ablation == "none" else 0.2, []
    for number, twin in enumerate(untrained_twins(model, untrained, seed)):
        parts = (ends * (number + each) / (untrained + 1) for each in (0, 1))
        with progress_range(*parts, f"untrained model {number + 1}: "):
            twins.append(head_scores(twin, tokens, length).mean(0))
    with progress_range(ends * untrained / (untrained + 1), ends):
        scores = head_scores(model, tokens, length)
    with progress_range(ends, 1.0):
        clean, changes = _ablations(model, rows, tokens, length, ablation)
    shape = (0, *scores.shape[1:])
    bounded = [_bounds(change, seed) for change in changes]
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
    ablation: Kind,
    untrained: int,
) -> None:
    scored = reading(model, tokens, times=1 + untrained, cache=["pattern"], logits=False)
    passes = [scored]
    if ablation != "none":
        times = 2 + model.cfg.n_layers * model.cfg.n_heads  # the means and the clean loss
        passes += [reading(model, each, times=times) for each in (tokens, rows) if each]
    announce(
        model,
        *passes,
        copies=min(untrained, 2),
        draws=untrained,
        smaller="Leave the ablations out (ablation='none') and ask head_ablation about one prompt, "
        "or take fewer and shorter sequences (n_sequences=4, length=8).",
    )


def _ablations(
    model: LanguageModel, rows: list[list[int]], tokens: Tensor, length: int, kind: Kind
) -> tuple[list[Tensor], list[Float[Tensor, "row layer head"]]]:
    """Clean losses and loss changes on the repeated tokens and, if there are any, the texts."""
    if kind == "none":
        return [], []

    def repetition(edits: Sequence) -> Tensor:
        return second_copy_loss(model, tokens, length, edits)

    ends = 0.5 if rows else 1.0
    with progress_range(0.0, ends):
        means = mean_outputs(model, tokens.tolist())
        pairs = [head_ablations(model, kind, means, repetition)]
    if rows:
        with progress_range(ends, 1.0, "texts, "):
            means = mean_outputs(model, rows)
            pairs.append(
                head_ablations(model, kind, means, lambda edits: text_loss(model, rows, edits))
            )
    return [clean for clean, _ in pairs], [change for _, change in pairs]


def _bounds(values: Float[Tensor, "row ..."], seed: int) -> Float[Tensor, "... 3"]:
    """Mean over rows with the ends of its interval, for every entry."""
    flat = values.flatten(1).unbind(1)
    intervals = [mean_interval(column, seed=seed) for column in flat]
    bounds = torch.tensor([(each.value, each.low, each.high) for each in intervals])
    return bounds.reshape(*values.shape[1:], 3)
