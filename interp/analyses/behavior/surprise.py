"""What each token of a text cost the model, and the least that any model could have paid.

With the world that made the text, each token's floor is the world's exact surprisal, charged where
a choice is first seen, and regret is loss - floor: the part that a better model could save. A
single token's regret may be negative, its mean over many texts may not.

Control: the same tokens in random order, an untrained model, and all tokens equally probable.

Units: nats per token, and per byte of UTF-8, by which models with other tokenizers compare; entropy
before a token in bits; rank 0 = most probable. Intervals resample sentences of one text.

    interp run surprise --text "$(interp worlds --sample stories)" --world stories
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.alignment import Span
from interp.core.cost import Passes, announce
from interp.core.edits import Edit
from interp.core.errors import ConfigError, TokenError
from interp.core.progress import report_progress
from interp.core.protocols import LanguageModel
from interp.core.statistics.intervals import UNKNOWN, Interval, mean_interval, plain
from interp.core.surprisal import predicted_bytes
from interp.methods.batches import nats_per_token
from interp.methods.data.loss_floor import floor_by_token
from interp.methods.distributions import entropy_bits
from interp.methods.prompts import displayed, shuffled_rows
from interp.methods.untrained import untrained_twins
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.worlds.world import World

SHUFFLES = 5


@dataclass(frozen=True, kw_only=True)
class Surprise(Result):
    """Loss, floor and regret of every predicted token of a text.

    Attributes:
        tokens: the predicted tokens, for display.
        loss_nats: the model's negative log-probability of each token.
        floor_nats: the world's own surprisal of each token, where a choice is first seen; nan
            without a world.
        ranks: rank of each token among the model's candidates; 0 = the most probable.
        entropy_bits: entropy of the model's distribution before each token.
        top_tokens: the model's best candidates for each token, for display.
        top_log_probs: log-probabilities of the best candidates, in nats.
        kinds: the world's kind of choice in each token, `determined` where there was none.
        sentences: number of the sentence each token belongs to.
        loss: nats per token, with its interval over sentences.
        regret: loss - floor, nats per token; nan without a world.
        uniform_nats: loss of a model that finds all tokens equally probable.
        shuffled_nats: the model's own loss per token on the same tokens in random order.
        untrained_nats: an untrained model's loss per token; nan without one.
        n_bytes: bytes (UTF-8) of the predicted tokens' text; 0 in results of earlier versions.
    """

    tokens: tuple[str, ...]
    loss_nats: Float[Tensor, " pos"]
    floor_nats: Float[Tensor, " pos"]
    ranks: Int[Tensor, " pos"]
    entropy_bits: Float[Tensor, " pos"]
    top_tokens: tuple[tuple[str, ...], ...]
    top_log_probs: Float[Tensor, "pos k"]
    kinds: tuple[str, ...]
    sentences: Int[Tensor, " pos"]
    loss: Interval
    regret: Interval
    uniform_nats: float
    shuffled_nats: float
    untrained_nats: float
    n_bytes: int = 0
    columns: ClassVar = {
        "loss_nats": "loss_nats",
        "floor_nats": "floor_nats",
        "regret_nats": "regret_nats",
        "rank": "ranks",
        "entropy_bits": "entropy_bits",
        "best_log_prob_nats": "best_log_probs",
    }
    labels: ClassVar = {
        "token": ("pos", "tokens"),
        "sentence": ("pos", "sentences"),
        "kind": ("pos", "kinds"),
        "best_token": ("pos", "best_tokens"),
    }

    @property
    def best_tokens(self) -> tuple[str, ...]:
        """The most probable token in each place, for display."""
        return tuple(best[0] for best in self.top_tokens)

    @property
    def best_log_probs(self) -> Float[Tensor, " pos"]:
        """The log-probability of the most probable token in each place, in nats."""
        return self.top_log_probs[:, 0]

    @property
    def regret_nats(self) -> Float[Tensor, " pos"]:
        """Loss - floor of each token; negative where the model was lucky."""
        return self.loss_nats - self.floor_nats

    @property
    def nats_per_byte(self) -> float:
        """Loss per byte of text: what models with different tokenizers can be compared by."""
        return float(self.loss_nats.sum()) / self.n_bytes if self.n_bytes else math.nan

    @property
    def has_floor(self) -> bool:
        """Whether the floor is known."""
        return not bool(self.floor_nats.isnan().any())

    def by_kind(self) -> dict[str, tuple[int, Interval, float, Interval]]:
        """Tokens, loss, floor, regret (nats per token) of each kind, the costliest in all first."""
        table = {}
        for kind in dict.fromkeys(self.kinds):
            here = torch.tensor([each == kind for each in self.kinds])
            groups = self.sentences[here].tolist()
            loss, regret = (
                mean_interval(values[here], groups) for values in (self.loss_nats, self.regret_nats)
            )
            table[kind] = (len(groups), loss, self.floor_nats[here].mean().item(), regret)
        return dict(sorted(table.items(), key=lambda item: -item[1][0] * item[1][1].value))

    def finding(self) -> str:
        floor = ""
        if self.has_floor:
            mean = self.floor_nats.mean().item()
            floor = f", {plain(self.regret, 3)} above the floor {mean:.3f}"
        per_byte = f" ({self.nats_per_byte:.3f} per byte)" if self.n_bytes else ""
        return (
            f"Surprise: {plain(self.loss, 3)} nats per token{per_byte}{floor} "
            f"(same tokens shuffled {self.shuffled_nats:.2f}, uniform {self.uniform_nats:.2f}, "
            f"n = {len(self.tokens)} tokens)."
        )

    def caption(self) -> str:
        untrained = (
            f"an untrained model {self.untrained_nats:.2f}"
            if not math.isnan(self.untrained_nats)
            else "no untrained model could be made"
        )
        floor = (
            "The floor is the world's exact surprisal; regret = loss - floor, and a single token's "
            "may be negative: only its mean over many texts cannot be. "
            if self.has_floor
            else "No world was given, so there is no floor. "
        )
        return (
            f"{self.finding()} Negative log-probability of each token given those before it. "
            f"{floor}Controls in nats per token: the same tokens shuffled ({SHUFFLES} draws) "
            f"{self.shuffled_nats:.2f}, {untrained}, all tokens equally probable "
            f"{self.uniform_nats:.2f}. n = {len(self.tokens)} tokens in {self.loss.n} sentences of "
            "one text, 95 % bootstrap intervals over sentences."
        )


def surprise(
    model: LanguageModel,
    text: str,
    *,
    world: World | None = None,
    level: str = "full",
    k: int = 5,
    edits: Sequence[Edit] = (),
    untrained: bool = True,
    seed: int = 0,
) -> Surprise:
    """What each token of a text cost the model, and the least that any model could have paid.

    Args:
        model: any language model.
        text: what to read; it must fit the context.
        world: the world that told the text; it knows the floor.
        level: the world's level of difficulty at which the text was told.
        k: candidates a token.
        edits: interventions during the run.
        untrained: read an untrained model of the same config beside it, where one can be made.
        seed: the seed of the shuffles, the untrained model and the resampling.
    Returns:
        Surprise: nats a token: loss, floor, regret.
    Raises:
        ConfigError: k < 1.
        TokenError: the text is too short or too long, or cannot be encoded.
        WorldError: the world cannot have told this text.
    Example:
        >>> print(surprise(model, story.text, world=world))  # doctest: +SKIP
    Source:
        Shannon 1951, "Prediction and Entropy of Printed English"; the floor is the world's own.
    """
    call = dict(locals())
    if k < 1:
        raise ConfigError(f"Surprise needs k = 1 or more candidates a token; got k = {k}.")
    ids, spans = _tokenize(model, text)
    n = 1 + untrained
    announce(
        model,
        Passes(count=n + SHUFFLES, tokens=len(ids), logits=3 * len(ids)),
        copies=untrained,
        draws=untrained,
        smaller="Give a shorter text, or leave the control out (untrained=False).",
    )
    report_progress("this model", 0, n)
    log_probs = _log_probs(model, ids, edits)
    nats = -log_probs.gather(-1, torch.tensor(ids[1:])[:, None])[:, 0]
    top = log_probs.topk(min(k, model.cfg.d_vocab), dim=-1)
    choices = world.surprisal(text, level=level) if world is not None else None
    floor, kinds = floor_by_token(text, spans, choices)
    sentences = _sentences(text, spans[1:])
    twins = untrained_twins(model, 1, seed) if untrained else iter(())
    return Surprise(
        tokens=displayed(model.tokenizer, ids[1:]),
        loss_nats=nats,
        floor_nats=floor,
        ranks=(log_probs > -nats[:, None]).sum(-1),
        entropy_bits=entropy_bits(log_probs),
        top_tokens=tuple(displayed(model.tokenizer, row) for row in top.indices.tolist()),
        top_log_probs=top.values,
        kinds=kinds,
        sentences=torch.tensor(sentences),
        loss=mean_interval(nats, sentences, seed),
        regret=UNKNOWN if choices is None else mean_interval(nats - floor, sentences, seed),
        uniform_nats=math.log(model.cfg.d_vocab),
        shuffled_nats=_mean_loss(model, shuffled_rows([ids] * SHUFFLES, seed), edits),
        untrained_nats=next((_mean_loss(twin, [ids]) for twin in twins), math.nan),
        n_bytes=predicted_bytes(text, spans),
        provenance=provenance(surprise, call, prompt=text),
    )


def _tokenize(model: LanguageModel, text: str) -> tuple[list[int], list[Span]]:
    """Ids and their characters; all but the first are predicted."""
    ids, spans = model.tokenizer.encode_with_spans(text)
    if len(ids) < 2:
        raise TokenError(
            "Surprise needs two tokens or more, for the first is not predicted; got "
            f"{len(ids)}: {text!r}. Give a longer text."
        )
    return ids, spans


@torch.no_grad()
def _log_probs(
    model: LanguageModel, ids: Sequence[int], edits: Sequence[Edit] = ()
) -> Float[Tensor, "pos d_vocab"]:
    """What the model gave each token after the first, in nats."""
    logits = model.run(torch.tensor([list(ids)]), edits=edits).logits[0, :-1].cpu()
    return logits.double().log_softmax(-1)


def _mean_loss(
    model: LanguageModel, rows: Sequence[Sequence[int]], edits: Sequence[Edit] = ()
) -> float:
    return torch.cat(nats_per_token(model, rows, edits=edits)).double().mean().item()


def _sentences(text: str, spans: Sequence[Span]) -> list[int]:
    """The number of each token's sentence: how many ends lie before it."""
    ends = [i + 1 for i, letter in enumerate(text) if letter in ".!?\n"]
    return [sum(end <= start for end in ends) for start, _ in spans]
