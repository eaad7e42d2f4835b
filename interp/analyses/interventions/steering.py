"""What a concept's direction does to generated text: gain and damage against dose.

Its question is how much: many doses of one direction, over many prompts, and the dose at which the
gain is largest. `steering_metrics` asks what one dose (of any edits) does to one prompt over many
seeds, `continuation` what it does to one text, token by token. All three write and weigh texts by
the same code.

The headline is the largest gain where the text holds: where a world reads it, 90 % of the sentences
are well formed; with or without one, the text does not break. It breaks where a token is less than
2/3 as probable under the unedited model as at dose 0, where a tenth more of the trigrams stood
before, or where fewer than 90 % as many sentences are well formed. `result.zones()` cuts the doses
into stretches: weak, useful for steering, and where the text breaks. Given a word instead of a
concept, sites, methods and positions are screened first, on prompts that are not measured on again;
the last residual stream, which nothing reads, is not among them.

A concept moves as a whole where its share grows in every kind of sentence that shows it
(`expressions`: of a mood the word, the answer to a question, the gait). That is no evidence of a
concept beyond its words where the logit bias does as much (`words_suffice`).

Control: random directions of equal length at the same doses (the grey band, lowest to highest); `z`
against them at the best dose; `p`, the share of directions that gain as much at their own best
dose. `beats_random` asks for p of 0.05 or less, which takes 19 random directions, and for a gain
whose interval lies above 0. And the logit bias, which knows the words alone: the shortest vector
that raises the logits of all tokens by which the word shows (` angry`, ` Angry`, ` stomps`) alike,
against those of its kin, at the same positions and doses of the last residual stream.

Units: dose in shares of the site's median norm; loss and KL in nats per token; intervals over
prompts.

    interp run steering --world stories --concept happy --html happy.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from interp.analyses.interventions._dose_response import (
    ROUNDING,
    DoseExperiment,
    candidate_concepts,
    dose_response,
    read_sites,
    search_sites,
)
from interp.analyses.interventions._dose_zones import Zone, dose_zones
from interp.analyses.interventions._expressions import (
    LONGER,
    counted,
    expression_gains,
    expressions_of,
    expressions_told,
    move_together,
    part_warning,
    words_suffice,
)
from interp.analyses.interventions._logit_bias import Push, logit_bias
from interp.analyses.interventions._random_controls import random_band
from interp.analyses.interventions._steered_generation import FEWER, announce_generation
from interp.analyses.interventions._text_counts import word_counts, world_counts
from interp.analyses.probing.concept import Concept
from interp.core.display import percent
from interp.core.edits import Where
from interp.core.errors import ConfigError, NotEnoughDataError
from interp.core.hooks import Name
from interp.core.protocols import LanguageModel
from interp.core.statistics.intervals import UNKNOWN, Interval, plain
from interp.methods.activations import WRITES_ANSWER
from interp.methods.data.contrast_pairs import concept_group
from interp.methods.data.examples import sample_stories
from interp.methods.probes.directions import random_directions
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.worlds.world import World

DOSES = (-1.0, -0.5, 0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0, 1.5, 2.0)
N_EXAMPLE_TEXTS, N_SCREENING_PROMPTS, FIRST_SCREENING_STORY = 3, 24, 500_000
MOST_P = 0.05
WORDS_SUFFICE = (
    "; no expression is shown to gain more than by this bias of the words alone, so that they move "
    "together is no evidence of a concept beyond its words"
)


@dataclass(frozen=True, kw_only=True)
class Steering(Result):
    """Texts at many doses of one direction, measured; and at the same doses of random ones.

    Attributes:
        word: the concept.
        among: the words whose mentions are its trials; empty: all words of the text.
        method: how the direction was found (see `concept`).
        site: hook point that the direction was added at, as (short name, layer).
        direction: unit length.
        median_norm: median norm of the site's activations: the vector that is added is
            dose * median_norm * direction.
        where: positions that the direction was added at, in words.
        doses: strengths in shares of the median norm, ascending, 0 among them.
        measures: by name, an interval a dose, over prompts. `rate` (mentions of the concept among
            those of `among`), `well_formed` (share of sentences of the grammar), `consistent` (of
            these, true of the story so far), `loss_nats_per_token` (of the text, under the unedited
            model), `kl_nats_per_token` (edited || unedited), `repetition` (share of trigrams that
            stood before). What a text without a world cannot have is nan.
        random: by name, the measures of random directions of equal length. They continue fewer
            prompts, so it is their change from dose 0 that is added to the value at dose 0.
        best: number of the dose of the largest gain where the text holds; -1 = none.
        gain: rate at the best dose less rate at dose 0, over the same prompts; nan when none.
        ratio: rate at the best dose over rate at dose 0, over the same prompts. A low rate at dose
            0 makes it large and unsure; nan when no dose is best, infinite when that rate is 0.
        z: how many standard deviations the rate lies above the random directions' at that dose;
            nan where these are all alike.
        p: share of random directions (this one counted) that gain as much at their own best dose.
        screened: by name, gains of the sites, methods and positions tried on other prompts first.
        prompts: texts that were continued.
        texts: by dose, what followed the first few prompts.
        writes_answer: no layer reads the site (see `concept`).
        expressions: by kind of sentence that shows the concept, the gain in its share of the
            group's mentions at the best dose, in texts three times as long; nan where the group is
            not mentioned. Empty without a world's group, and where no dose is best.
        bias: the measures of the logit bias, which raises all tokens that show the word alike; nan
            where there is none.
        bias_best: number of the dose of its largest gain where the text holds; -1 = none.
        bias_gain: its gain there.
        bias_expressions: its `expressions` there.
    """

    word: str
    among: tuple[str, ...]
    method: str
    site: tuple[str, int]
    direction: Float[Tensor, " d_model"]
    median_norm: float
    where: str
    doses: tuple[float, ...]
    measures: dict[str, tuple[Interval, ...]]
    random: dict[str, Float[Tensor, "dose direction"]]
    best: int
    gain: Interval
    z: float
    p: float
    screened: dict[str, float]
    prompts: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    ratio: Interval = UNKNOWN
    writes_answer: bool = False
    expressions: dict[str, Interval] = field(default_factory=dict)
    bias: dict[str, tuple[Interval, ...]] = field(default_factory=dict)
    bias_best: int = -1
    bias_gain: Interval = UNKNOWN
    bias_expressions: dict[str, Interval] = field(default_factory=dict)
    columns: ClassVar = {"value": "measures", "random": "random", "logit_bias": "bias"}
    axes: ClassVar = {
        "measures": "measure dose",
        "random": "measure dose direction",
        "bias": "measure dose",
    }
    labels: ClassVar = {"dose": ("dose", "doses")}

    @property
    def base(self) -> Interval:
        """The rate without steering."""
        return self.measures["rate"][self.doses.index(0.0)]

    @property
    def moves_together(self) -> bool:
        """Whether every expression of the concept gains, of two or more, its interval above 0."""
        return move_together(self.expressions)

    @property
    def words_suffice(self) -> bool:
        """Whether all expressions gain, and none is shown to gain more than by the logit bias."""
        return words_suffice(self.expressions, self.bias_expressions)

    def band(self, name: str = "rate") -> tuple[Float[Tensor, " dose"], Float[Tensor, " dose"]]:
        """Lowest and highest of the random directions at each dose; nan where none has a value."""
        return random_band(self.random[name])

    def zones(self) -> tuple[Zone, ...]:
        """The doses from lowest to highest as weak, useful and breaking stretches.

        A zone ends half-way between two measured doses. Where nothing counts the concept, no dose
        is called useful.
        """
        return dose_zones(self.doses, self.measures, self.band())

    @property
    def beats_random(self) -> bool:
        """Whether the gain's interval lies above 0 and at most one direction in 20 gains as much.

        The directions are counted at their own best doses, this one among them (`p`); with fewer
        than 19 random ones p cannot be so low.
        """
        return self.best >= 0 and self.gain.low > 0 and self.p <= MOST_P

    def finding(self) -> str:
        place = f"'{self.word}' by {self.method.replace('_', ' ')} at {self.site[0]} {self.site[1]}"
        if self.best < 0:
            return f"{place}: no dose raised its rate and left the text whole{self._bias()}"
        rate = self.measures["rate"][self.best]
        highest = float(self.band()[1][self.best])
        control = f"random directions at most {highest:.2f}" if isfinite(highest) else "no control"
        z = f", z = {self.z:.1f}" if isfinite(self.z) else ""
        whole = expressions_told(self.expressions)
        return (
            f"{place}: gain {plain(self.gain, signed=True)} (rate {self.base.value:.2f} -> "
            f"{rate.value:.2f} at dose {self.doses[self.best]:g}; {control}{z}; "
            f"n = {len(self.prompts)} prompts){f'; {whole}' if whole else ''}{self._bias()}"
        )

    def _bias(self) -> str:
        """What the word's logit bias does, behind a semicolon."""
        if not any(each.value == each.value for each in self.bias.get("rate", ())):
            return ""
        if self.bias_best < 0:
            return "; logit bias: no dose"
        whole = expressions_told(self.bias_expressions)
        return (
            f"; logit bias: gain {plain(self.bias_gain, signed=True)} at dose "
            f"{self.doses[self.bias_best]:g}{f', {whole}' if whole else ''}"
            f"{WORDS_SUFFICE if self.words_suffice else ''}"
        )

    def caption(self) -> str:
        tried = self.random["rate"].shape[1]
        chosen = (
            f" Site, method and positions chosen on other prompts among {len(self.screened)}."
            if self.screened
            else ""
        )
        return (
            f"{self.finding()}. Dose: shares of the site's median norm ({self.median_norm:.3g}), "
            f"added {self.where}. Bands: 95 % bootstrap intervals over "
            f"{len(self.prompts)} prompts; grey: lowest to highest of {tried} random directions of "
            "equal length (their change from dose 0, on fewer prompts); dashed: the word's logit "
            f"bias, at the last residual stream.{self._cost()}{chosen}{self._whole()} "
            f"{self._verdict()}"
        )

    def _whole(self) -> str:
        """The ratio where its interval is known, and what a direction that writes does not show."""
        parts = []
        if all(isfinite(end) for end in (self.ratio.value, self.ratio.low, self.ratio.high)):
            parts.append(f" Ratio of the rates ×{plain(self.ratio, 1)}.")
        if len(counted(self.expressions)) > 1:
            parts.append(
                " Expressions: gain in the share of the group's mentions in each kind of sentence "
                f"that shows it, in texts {LONGER} times as long."
            )
        if self.writes_answer:
            parts.append(f" WARNING: added after the last layer it {WRITES_ANSWER}.")
        return "".join(parts)

    def _cost(self) -> str:
        if self.best < 0:
            return ""
        here, rest = self.best, self.doses.index(0.0)
        well, loss, kl, again = (
            self.measures[name]
            for name in ("well_formed", "loss_nats_per_token", "kl_nats_per_token", "repetition")
        )
        sentences = (
            f"{percent(well[here].value)} of sentences are well formed; "
            if isfinite(well[here].value)
            else "nothing reads sentences; "
        )
        return (
            f" At this dose {sentences}the text's loss under the unedited model is "
            f"{loss[here].value:.2f} nats a token (unsteered {loss[rest].value:.2f}), KL "
            f"{kl[here].value:.2f} nats a token, repeated trigrams {percent(again[here].value)} "
            f"(unsteered {percent(again[rest].value)})."
        )

    def _verdict(self) -> str:
        n = self.random["rate"].shape[1]
        share = f"{percent(self.p)} of directions, this one among them,"
        if self.beats_random:
            return f"{share} gain as much at their own best dose.{part_warning(self.expressions)}"
        if self.best < 0:
            return "WARNING: no dose steers."
        if self.gain.low > 0 and self.p <= 1 / (n + 1) + ROUNDING:
            return (
                f"None of {n} random directions gains as much at its own best dose, but so few "
                f"cannot show it (p = {self.p:.2f}): take n_random = {round(1 / MOST_P) - 1} or "
                "more."
            )
        reasons = []
        if self.p > MOST_P:
            reasons.append(f"{share} gain as much at their own best dose")
        if not self.gain.low > 0:
            reasons.append("the interval of the gain reaches 0")
        return f"WARNING: {' and '.join(reasons)}: this is no evidence of steering."


def steering(
    model: LanguageModel,
    concept: Concept | str,
    world: World | None = None,
    *,
    words: Sequence[str] = (),
    prompts: Sequence[str] | None = None,
    doses: Sequence[float] = DOSES,
    sites: Sequence[Name] | None = None,
    n_prompts: int = 48,
    n_tokens: int = 48,
    n_random: int = 20,
    n_random_prompts: int = 12,
    prompt_sentences: int = 2,
    where: Where | None = None,
    temperature: float = 1.0,
    level: str = "full",
    seed: int = 0,
) -> Steering:
    """Continue prompts at many doses of a concept, and measure what it gains and what it breaks.

    All doses are one generation: the strength stands on the batch axis. Rows of one prompt share
    their random numbers. At dose 0 the tokens are those of the unsteered model, or it refuses.

    Args:
        model: to steer.
        concept: found by `interp.concept` in this model; or one of the world's concept words, for
            which sites, methods and positions are screened on other prompts first.
        world: reads the generated text back and tells which concepts it mentions.
        words: their share of all words of the text is the rate; with a world, that still tells
            which sentences are well formed. For a concept that no word of the world names.
        prompts: texts to continue; beginnings of held-out stories if None.
        doses: shares of the site's median norm; 0 is added if it is missing.
        sites: where to look when `concept` is a word; the residual stream after each block that
            another one reads if None.
        n_prompts: beginnings to sample.
        n_tokens: to generate.
        n_random: random directions of equal length.
        n_random_prompts: prompts for each of these.
        prompt_sentences: sentences of each beginning.
        where: positions to edit; all but the first if None (and, when a word is screened, only
            where its group's words come next in the world's text: `concept.where_written`).
        temperature: of the sampling; 0 is greedy.
        level: of the world's difficulty.
        seed: of stories, sampling and random directions.
    Returns:
        Steering: gain and damage by dose, with the random band.
    Raises:
        ModelMismatchError: the concept was found in another model.
        ConfigError: neither a world nor words to measure with.
        NotEnoughDataError: fewer than two prompts, or too few examples of the word.
        ReadoutError: at dose 0 the tokens are not the unsteered ones.
    Example:
        >>> steering(model, "happy", world).moves_together  # doctest: +SKIP
        True
    Source:
        Turner et al. 2023 (activation addition); Wu et al. 2025, AxBench (concept against fluency).
        Differs: text is read by the world's own grammar, not by a judge; doses are shares of the
        site's median norm; random directions of equal length get the same doses, and so does the
        word's logit bias.
    """
    call = dict(locals())
    doses = tuple(sorted({0.0, *map(float, doses)}))
    word, among = _what(concept, world, words)
    experiment = _experiment(model, call, word, among, n_prompts)
    gains: dict[str, float] = {}
    prompts_as_ids = [model.tokenizer.encode(text) for text in experiment.prompts]
    control_prompts = n_random * min(n_random_prompts, len(prompts_as_ids)) / len(prompts_as_ids)
    times = (3 + control_prompts) * len(doses)  # at dose 0 the steered rows are checked
    times += 4 * LONGER if among else 0
    announce_generation(model, prompts_as_ids, n_tokens, times=times, smaller=FEWER)
    if isinstance(concept, str):
        chosen, where_written, gains = _screen(model, call, among)
        experiment = replace(experiment, where=where_written)
    else:
        chosen = concept.on(model)
    unit = chosen.median_norm
    main, texts = experiment.measure(chosen.site, chosen.direction[None] * unit, doses, check=True)
    random = random_directions(n_random, len(chosen.direction), seed=seed) * unit
    control, _ = experiment.measure(chosen.site, random, doses, prompts=n_random_prompts)
    push = Push(site=chosen.site, vector=chosen.direction * unit)
    bias_push = logit_bias(model, chosen, among, words, experiment.prompts)
    bias = bias_push and experiment.measure(bias_push.site, bias_push.vector[None], doses)[0]
    response = dose_response(main, control, bias, doses, seed)
    kinds = expressions_of(world, among, level=level, seed=seed)
    whole = {
        f"{name}expressions": expression_gains(
            experiment, each, doses[response[f"{name}best"]], world, word, among, kinds
        )
        for name, each in (("", push), ("bias_", bias_push))
        if each is not None and response[f"{name}best"] >= 0
    }
    # Of one direction, all prompts at the first dose come first, then all at the second.
    starts = range(0, len(texts), len(experiment.prompts))
    return Steering(
        word=word,
        among=among,
        method=chosen.method,
        site=chosen.site,
        direction=chosen.direction,
        median_norm=unit,
        where=_in_words(experiment.where, chosen, model),
        doses=doses,
        **response,
        **whole,
        writes_answer=chosen.writes_answer,
        screened=gains,
        prompts=experiment.prompts,
        texts=tuple(tuple(texts[start:][:N_EXAMPLE_TEXTS]) for start in starts),
        provenance=provenance(
            steering, call, hooks=(f"{chosen.site[0]} {chosen.site[1]}",), prompt=experiment.prompts
        ),
    )


def _what(
    concept: Concept | str, world: World | None, words: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    """The word that is counted, and those among which."""
    if world is None and (not words or isinstance(concept, str)):
        raise ConfigError(
            "Steering needs a way to see what it did: a world that reads text back, or a concept "
            "and `words` to count."
        )
    if isinstance(concept, str):
        return concept, concept_group(world, concept)
    if words:
        return concept.name, ()
    if world is not None and not concept.among:
        return concept.name, concept_group(world, concept.name)
    return concept.name, concept.among


def _in_words(where: Where, concept: Concept, model: LanguageModel) -> str:
    if where == Where():
        return "at every position but the first"
    if where == concept.where_written:
        before = " ".join(model.tokenizer.display(concept.slots[:12]))
        more = " …" if len(concept.slots) > 12 else ""
        return f"where the group's words come next in the world's text (after {before}{more})"
    return f"at {where}"


def _experiment(
    model: LanguageModel,
    call: Mapping[str, Any],
    word: str,
    among: tuple[str, ...],
    n_prompts: int,
    first: int = 0,
) -> DoseExperiment:
    """Prompts, how they are continued, and how what follows is read."""
    world, words = call["world"], tuple(call["words"])

    def read(prompt: str, text: str) -> dict[str, tuple[int, int]]:
        # Without a world there are no sentences to count: 0 of 0, which is nan.
        counts = {"well_formed": (0, 0), "consistent": (0, 0)}
        if world is not None:
            counts = world_counts(world, prompt, text, {"rate": (word, among)})
        return counts | ({"rate": word_counts(text, words)} if words else {})

    prompts = tuple(call["prompts"] or ())
    return DoseExperiment(
        model=model,
        prompts=prompts or _beginnings(call, n_prompts, first),
        read=read,
        where=call["where"] or Where(),
        **{name: call[name] for name in ("n_tokens", "temperature", "seed")},
    )


def _beginnings(call: Mapping[str, Any], n: int, first: int) -> tuple[str, ...]:
    """The first sentences of held-out stories, the same for the same seed."""
    world, sentences = call["world"], call["prompt_sentences"]
    if world is None:
        raise ConfigError("Without a world, give `prompts` to continue.")
    if n < 2:
        raise NotEnoughDataError(f"An interval over prompts needs two or more; got {n}.")
    options = {"seed": call["seed"], "level": call["level"], "split": "held_out"}
    stories = sample_stories(world, n, first=first, **options)
    ends = [world.parse(story.text).sentences[sentences - 1].span[1] for story in stories]
    return tuple(story.text[:end] for story, end in zip(stories, ends, strict=True))


def _screen(
    model: LanguageModel, call: Mapping[str, Any], among: tuple[str, ...]
) -> tuple[Concept, Where, dict[str, float]]:
    """The best site, method and positions, by prompts that are not measured on again."""
    sites = call["sites"] or read_sites(model.cfg.n_layers)
    options = {name: call[name] for name in ("level", "seed")}
    candidates = candidate_concepts(model, call["concept"], call["world"], sites, **options)
    other_prompts = {**call, "prompts": None}
    word, first = call["concept"], FIRST_SCREENING_STORY
    experiment = _experiment(model, other_prompts, word, among, N_SCREENING_PROMPTS, first=first)
    return search_sites(candidates, experiment)
