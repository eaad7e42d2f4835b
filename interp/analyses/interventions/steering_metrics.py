"""How often a steered model shows a concept and what it breaks, beside random directions.

Its question is how sure: one dose of any edits that add a vector, one prompt, many seeds.
`steering` asks how much (many doses of one direction, many prompts), `continuation` where one text
turns.

Regret, the loss of the edited model on true held-out stories less the world's floor, is what
steering breaks in what the model knows.

Control: the unedited model with the same random numbers, and random directions of equal length in
each edit's place (the grey band, lowest to highest). A rate inside the band is no evidence of
steering; of the other measures, which tell the damage, it says that any push would break as much.

Units: shares, nats per token. Intervals resample the texts (regret: the stories).

    interp run steering_metrics --prompt "It is a sunny morning. Anna is" --edits edits.json
        --world stories --concepts happy
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from interp.analyses.interventions._random_controls import (
    FIRST_RANDOM,
    STEERED,
    UNEDITED,
    Arms,
    random_arms,
    random_band,
    reading_loss,
    texts_of_arms,
)
from interp.analyses.interventions._steered_generation import announce_generation
from interp.analyses.interventions._text_counts import (
    Ratio,
    TextReader,
    text_ratios,
    word_counts,
    world_counts,
)
from interp.core.edits import Edit
from interp.core.errors import ConfigError, NotEnoughDataError, TokenError
from interp.core.protocols import LanguageModel
from interp.core.statistics.intervals import Interval
from interp.methods.batches import reading
from interp.methods.data.answers import EncodedStory, encoded_stories
from interp.methods.data.contrast_pairs import concept_group
from interp.methods.data.loss_floor import floor_sums, has_floor
from interp.methods.prompts import one_row
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.worlds.world import Story, World

RATE = "rate of "
NATS = "_nats_per_token"
DIGITS = 2
DAMAGE = {"well_formed": "below", f"kl{NATS}": "above"}
"""Measures of what an edit breaks, with the side of the random band that is worse."""


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
        steered: by measure, the model under the edits, with its interval over texts.
        random: by measure, the model with a random direction of equal length in each edit's place.
        n_texts: texts of each kind.
    """

    base: dict[str, Interval]
    steered: dict[str, Interval]
    random: dict[str, Float[Tensor, " direction"]]
    n_texts: int
    axes: ClassVar = {"base": "measure", "steered": "measure", "random": "measure direction"}

    def band(self, name: str) -> tuple[float, float]:
        """Lowest and highest of the random directions; nan where none has a value."""
        low, high = random_band(self.random[name])
        return float(low), float(high)

    def outside(self, name: str) -> bool:
        """Whether the steered value lies outside the random directions' band.

        Strictly: a value that is written as the band's end (two digits) lies in it.
        """
        return self._place(name) not in ("inside", "")

    def _place(self, name: str) -> str:
        """`above`, `below` or `inside` the band, as the numbers are written; empty = not known."""
        value, low, high = (round(x, DIGITS) for x in (self.steered[name].value, *self.band(name)))
        if value != value or low != low:
            return ""
        return "above" if value > high else "below" if value < low else "inside"

    def finding(self) -> str:
        names = [name for name in self.steered if name.startswith(RATE)]
        names += [name for name in ("well_formed",) if name in self.steered]
        changes = "; ".join(map(self._change, names or ["kl_nats_per_token"]))
        return f"{changes} (n = {self.n_texts} texts)"

    def caption(self) -> str:
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
            f"{regret} A rate inside the grey band is no evidence of steering."
        )

    def _change(self, name: str) -> str:
        measure, place = name.replace("_", " "), self._place(name)
        values = self.base[name].value, self.steered[name].value, *self.band(name)
        base, value, low, high = (f"{x:.{DIGITS}f}" if isfinite(x) else "not known" for x in values)
        change, band = f"{measure} {base} -> {value}", f"{low} to {high}"
        if not place:
            return f"{change} (nothing to count, or no control)"
        if name in DAMAGE:
            # Of what breaks, the side of the band that is no harm is no news.
            more = "more" if place == DAMAGE[name] else "no more"
            return f"{change}, {more} damage than random directions do ({band})"
        return f"{change}, {place} the random band {band}"


def steering_metrics(
    model: LanguageModel,
    prompt: str,
    edits: Sequence[Edit],
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
        NotEnoughDataError: fewer than two texts, or no random direction.
        TokenError: the prompt leaves no room in the context.
    Example:
        >>> happy = interp.concept(model, "happy", world=world)  # doctest: +SKIP
        >>> print(steering_metrics(model, "It is", [happy.add(1.0)], world=world))  # doctest: +SKIP
    Source:
        Wu et al. 2025, AxBench (concept against fluency). Differs: text is read by the world's own
        grammar, and every measure is compared with random directions of equal length.
    """
    call = dict(locals())
    if n_texts < 2:
        raise NotEnoughDataError(f"An interval over texts needs two or more; got {n_texts}.")
    if n_random < 1:
        raise NotEnoughDataError(f"The control needs a random direction or more; got {n_random}.")
    ids = one_row(model, prompt)[0].tolist()
    if len(ids) >= model.cfg.n_ctx:
        raise TokenError(
            "A continuation needs room to write; the prompt fills the context of "
            f"{model.cfg.n_ctx} tokens. Give a shorter prompt."
        )
    arms = random_arms(edits, n_random, seed)
    seeds = [seed * 1_000_003 + i for i in range(n_texts)]
    options = {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_k": top_k}
    stories = _stories(world, n_stories, level, seed)
    encoded = encoded_stories(model, stories)
    rows = [row for row, _ in encoded for _ in range(len(arms))]
    announce_generation(
        model,
        [ids] * (len(arms) * n_texts),
        max_new_tokens,
        beside=[reading(model, rows)] if rows else [],
        smaller="Ask for fewer texts, random directions, stories or tokens (n_texts=, n_random=, "
        "n_stories=, max_new_tokens=).",
    )
    generated = texts_of_arms(model, arms, ids, seeds, **options)
    rates = {RATE + word: (word, _group(world, word)) for word in concepts}
    read = _reader(world, rates, words)
    ratios = text_ratios(generated, read, [prompt], (len(arms), n_texts))
    if stories:
        ratios[f"regret{NATS}"] = _regret(model, arms, stories, encoded)
    return SteeringMetrics(
        base=_intervals(ratios, UNEDITED, seed),
        steered=_intervals(ratios, STEERED, seed),
        random={name: ratio.value[FIRST_RANDOM:] for name, ratio in ratios.items()},
        n_texts=n_texts,
        provenance=provenance(
            steering_metrics, call, hooks=tuple(dict.fromkeys(str(edit.hook) for edit in edits))
        ),
    )


def _group(world: World | None, word: str) -> tuple[str, ...]:
    if world is None:
        raise ConfigError(
            f"The rate of {word!r} was asked for, but no world to read it in the text. Give "
            f"world=..., or words=[{word!r}] to count."
        )
    return concept_group(world, word)


def _reader(
    world: World | None, rates: dict[str, tuple[str, tuple[str, ...]]], words: Sequence[str]
) -> TextReader:
    """Counts the concepts and sentences of a world, and words, as far as they were asked for."""

    def read(prompt: str, text: str) -> dict[str, tuple[int, int]]:
        counts = {} if world is None else world_counts(world, prompt, text, rates)
        return counts | ({f"{RATE}{' / '.join(words)}": word_counts(text, words)} if words else {})

    return read


def _stories(world: World | None, n: int, level: str, seed: int) -> list[Story]:
    """The true stories that are read; none without a world, or one that knows no floor."""
    if world is None:
        return []
    numbers = range(seed * 1_000_003, seed * 1_000_003 + n)
    stories = [world.sample(number, level=level, split="held_out") for number in numbers]
    return stories if has_floor(stories) else []


def _regret(
    model: LanguageModel, arms: Arms, stories: Sequence[Story], encoded: Sequence[EncodedStory]
) -> Ratio:
    """Nats above the floor that every arm pays on true stories, of their tokens."""
    floors = floor_sums(stories, [spans for _, spans in encoded])
    losses = reading_loss(model, arms, [ids for ids, _ in encoded]).double()
    lengths = torch.tensor([len(ids) - 1 for ids, _ in encoded]).double()
    return Ratio(part=losses - floors, whole=lengths.expand(len(arms), -1))


def _intervals(ratios: dict[str, Ratio], arm: int, seed: int) -> dict[str, Interval]:
    return {
        name: ratio.interval(arm, seed=seed, trials=not name.endswith(NATS))
        for name, ratio in ratios.items()
    }
