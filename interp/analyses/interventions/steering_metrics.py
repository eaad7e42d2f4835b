"""How often a steered model shows a concept and what it breaks, beside random directions."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from interp.analyses.interventions._random_controls import (
    FIRST_RANDOM,
    REST,
    STEERED,
    Arms,
    arms_of,
    read_loss,
    written,
)
from interp.analyses.interventions._steered_generation import Outcome, repetition, word_marks
from interp.core.alignment import nats_per_token
from interp.core.errors import ConfigError, NotEnoughDataError, TokenError
from interp.core.protocols import LanguageModel
from interp.core.statistics.intervals import Interval, bootstrap_ratio, clopper_pearson
from interp.methods.data.contrast_pairs import concept_group
from interp.methods.prompts import one_row
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.worlds.world import World

if TYPE_CHECKING:
    import pandas as pd

    from interp.core.edits import Edit

RATE = "rate of "
SHARES = ("well_formed", "consistent", "repetition")
Counts = dict[str, tuple[Float[Tensor, "arm text"], Float[Tensor, "arm text"]]]


@dataclass(frozen=True, kw_only=True)
class SteeringMetrics(Result):
    """Measures of several texts of one prompt: unedited, edited, and with random directions.

    Attributes:
        base: by measure, the unedited model, with its interval over texts. `rate of happy` (share
            of the mentions of its group), `well_formed` (share of sentences of the grammar),
            `consistent` (of these, true of the story so far), `repetition` (share of trigrams that
            stood before), `loss_nats_per_token` (of the text, under the unedited model),
            `kl_nats_per_token` (edited || unedited), `regret_nats_per_token` (loss of the edited
            model on true held-out stories less the world's floor).
        steered: the same under the edits.
        random: the same with a random direction of equal length in each edit's place.
        n_texts: texts of each.
    """

    base: dict[str, Interval]
    steered: dict[str, Interval]
    random: dict[str, Float[Tensor, " direction"]]
    n_texts: int

    def band(self, name: str) -> tuple[float, float]:
        """Lowest and highest of the random directions; nan where none has a value."""
        known = [value for value in self.random[name].tolist() if value == value]
        return (min(known), max(known)) if known else (math.nan, math.nan)

    def outside(self, name: str) -> bool:
        """Whether the steered value lies outside the random directions' band."""
        low, high = self.band(name)
        value = self.steered[name].value
        return value < low or value > high

    def finding(self) -> str:
        shown = [name for name in self.steered if name.startswith(RATE)]
        shown += [name for name in ("well_formed",) if name in self.steered]
        told = "; ".join(map(self._told, shown or ["kl_nats_per_token"]))
        return f"{told} (n = {self.n_texts} texts)"

    def caption(self) -> str:
        """What is drawn, the controls, n and the caveat."""
        count = len(next(iter(self.random.values())))
        regret = (
            " Regret: loss of the edited model on true held-out stories less the world's floor."
            if "regret_nats_per_token" in self.steered
            else ""
        )
        return (
            f"{self.finding()}. Filled: steered; hollow: the unedited model; whiskers: 95 % "
            f"bootstrap intervals over {self.n_texts} texts of this one prompt; grey: lowest to "
            f"highest of {count} random directions of equal length, added at the same places."
            f"{regret} A value inside the grey band is no evidence of steering."
        )

    def frame(self) -> "pd.DataFrame":
        """One row a measure."""
        import pandas as pd

        rows = []
        for name, found in self.steered.items():
            low, high = self.band(name)
            rest = self.base[name]
            rows.append(
                {
                    "measure": name,
                    "base": rest.value,
                    "base_low": rest.low,
                    "base_high": rest.high,
                    "steered": found.value,
                    "steered_low": found.low,
                    "steered_high": found.high,
                    "random_low": low,
                    "random_high": high,
                    "texts": found.n,
                }
            )
        return pd.DataFrame(rows)

    def _told(self, name: str) -> str:
        low, high = self.band(name)
        value = self.steered[name].value
        place = "above" if value > high else "below" if value < low else "inside"
        return (
            f"{name.replace('_', ' ')} {self.base[name].value:.2f} -> {value:.2f}, {place} the "
            f"random band {low:.2f} to {high:.2f}"
        )


def steering_metrics(
    model: LanguageModel,
    prompt: str,
    edits: "Sequence[Edit]",
    *,
    world: World | None = None,
    concepts: Sequence[str] = (),
    words: Sequence[str] = (),
    n_texts: int = 12,
    n_random: int = 12,
    n_stories: int = 6,
    max_new_tokens: int = 60,
    temperature: float = 1.0,
    top_k: int | None = None,
    level: str = "full",
    seed: int = 0,
) -> SteeringMetrics:
    """Continue a prompt many times, steered and not, and measure gain and damage.

    All texts are one generation. The texts of one number share their random numbers.

    Args:
        model: to steer.
        prompt: to continue.
        edits: additions, as `concept.add(dose)` makes them.
        world: reads the texts back and knows the floor.
        concepts: words of the world whose rate among their group is measured.
        words: their share of all words of the text is measured too.
        n_texts: texts of each kind.
        n_random: random directions of equal length.
        n_stories: held-out stories that are read for the regret.
        max_new_tokens: of each text.
        temperature: of the sampling; 0 is greedy.
        top_k: draw from the k most probable tokens only.
        level: of the world's difficulty.
        seed: of the sampling and of the random directions.
    Returns:
        SteeringMetrics: every measure unedited, edited, and with random directions.
    Raises:
        ConfigError: an unknown word, or edits that do not add one vector.
        NotEnoughDataError: fewer than two texts.
        TokenError: the prompt leaves no room in the context.
    Example:
        >>> happy = interp.concept(model, "happy", world=world)  # doctest: +SKIP
        >>> print(steering_metrics(model, "It is", [happy.add(1)], world=world))  # doctest: +SKIP
    Source:
        Wu et al. 2025, AxBench (concept against fluency). Differs: text is read by the world's own
        grammar, and random directions of equal length stand beside every measure.
    """
    call = dict(locals())
    if n_texts < 2:
        raise NotEnoughDataError(f"An interval over texts needs two or more; {n_texts} asked for.")
    ids = one_row(model, prompt)[0].tolist()
    if len(ids) >= model.cfg.n_ctx:
        raise TokenError(
            f"Room to write was needed; the prompt fills the context of {model.cfg.n_ctx} tokens. "
            "Give a shorter prompt."
        )
    arms = arms_of(edits, n_random, seed)
    seeds = [seed * 1_000_003 + i for i in range(n_texts)]
    options = {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_k": top_k}
    outcome = written(model, arms, ids, seeds, **options)
    groups = {word: _group(world, word) for word in concepts}
    counts = _counts(outcome, (len(arms), n_texts), _reader(world, prompt, groups, words))
    if world is not None and n_stories:
        counts["regret_nats_per_token"] = _regret(model, arms, world, n_stories, level, seed)
    return SteeringMetrics(
        base={name: _interval(name, *pair, REST, seed) for name, pair in counts.items()},
        steered={name: _interval(name, *pair, STEERED, seed) for name, pair in counts.items()},
        random={
            name: (part[FIRST_RANDOM:].sum(1) / whole[FIRST_RANDOM:].sum(1))
            for name, (part, whole) in counts.items()
        },
        n_texts=n_texts,
        provenance=provenance(
            steering_metrics, call, hooks=tuple(dict.fromkeys(str(edit.hook) for edit in edits))
        ),
    )


Reader = Callable[[str], dict[str, tuple[int, int]]]


def _group(world: World | None, word: str) -> tuple[str, ...]:
    if world is None:
        raise ConfigError(
            f"The rate of {word!r} was asked for, but no world to read it in the text. Give "
            f"world=..., or words=[{word!r}] to count."
        )
    return concept_group(world, word)


def _reader(
    world: World | None, prompt: str, groups: dict[str, tuple[str, ...]], words: Sequence[str]
) -> Reader:
    """Takes a text; gives hits and tries of each measure that is read from it."""

    def read(text: str) -> dict[str, tuple[int, int]]:
        found = {}
        if world is not None:
            new = [s for s in world.parse(prompt + text).sentences if s.span[1] > len(prompt)]
            said = [concept for sentence in new for concept in sentence.concepts]
            for word, among in groups.items():
                found[RATE + word] = said.count(word), sum(each in among for each in said)
            well = [sentence for sentence in new if sentence.well_formed]
            found["well_formed"] = len(well), len(new)
            found["consistent"] = sum(bool(s.consistent) for s in well), len(well)
        if words:
            marks = word_marks(text, words)
            found[f"{RATE}{' / '.join(words)}"] = marks.hits, marks.mentions
        return found

    return read


def _counts(outcome: Outcome, shape: tuple[int, int], read: Reader) -> Counts:
    """Parts and wholes of every measure, by arm and text."""
    rows = []
    for text, tokens in zip(outcome.texts, outcome.tokens, strict=True):
        grams = repetition(tokens)
        rows.append(read(text) | {"repetition": (grams["repeated"], grams["trigrams"])})
    counts = {
        name: tuple(
            torch.tensor([row[name][i] for row in rows]).double().view(shape) for i in (0, 1)
        )
        for name in rows[0]
    }
    tokens = outcome.lengths.double().view(shape)
    counts["loss_nats_per_token"] = outcome.loss_nats.double().view(shape), tokens
    counts["kl_nats_per_token"] = outcome.kl_nats.double().view(shape), tokens
    return counts


def _regret(
    model: LanguageModel, arms: Arms, world: World, n: int, level: str, seed: int
) -> tuple[Float[Tensor, "arm text"], Float[Tensor, "arm text"]]:
    """Nats above the floor that every arm pays on true stories, and their tokens."""
    texts, floors = [], []
    for i in range(n):
        story = world.sample(seed * 1_000_003 + i, level=level, split="held_out")
        ids, spans = model.tokenizer.encode_with_spans(story.text)
        costs = [(*choice.span, choice.surprisal_nats) for choice in story.choices]
        texts.append(ids[: model.cfg.n_ctx])
        floors.append(sum(nats_per_token(story.text, spans, costs)[1 : model.cfg.n_ctx]))
    losses = read_loss(model, arms, texts).double()
    lengths = torch.tensor([len(ids) - 1 for ids in texts]).double()
    return losses - torch.tensor(floors).double(), lengths.expand(len(arms), -1)


def _interval(name: str, part: Tensor, whole: Tensor, arm: int, seed: int) -> Interval:
    found = bootstrap_ratio(part[arm], whole[arm], seed=seed)
    bounded = name.startswith(RATE) or name in SHARES
    if bounded and found.value in (0.0, 1.0):
        # Every text agreed; the bootstrap would call that certain.
        return clopper_pearson(round(found.value * found.n), found.n)
    return found
