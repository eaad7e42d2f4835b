"""A measure at many strengths of one direction, beside the same strengths of random ones.

And where to steer: candidate sites and methods, tried on prompts of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import log, nan
from typing import Any

import torch
from einops import repeat
from jaxtyping import Bool, Float
from torch import Tensor

from interp.analyses.interventions._steered_generation import (
    GeneratedRows,
    SteeredRows,
    added_by_row,
    generate_rows,
)
from interp.analyses.interventions._text_counts import Ratio, TextReader, text_ratios
from interp.analyses.probing.concept import Concept, concepts_at
from interp.core.edits import Where
from interp.core.errors import NotEnoughDataError, ReadoutError
from interp.core.hooks import Name
from interp.core.protocols import LanguageModel
from interp.core.statistics.intervals import UNKNOWN, Interval
from interp.worlds.world import World

LEAST_WELL_FORMED, MOST_LOSS_RATIO, MOST_MORE_REPETITION = 0.9, 1.5, 0.1
HEALTH = ("well_formed", "loss_nats_per_token", "repetition")
"""What shows that a text breaks; the last two need no world."""
ROUNDING = 1e-6
TRIED_DOSES = (0.0, 0.25, 0.5, 1.0, 1.5)
WAYS = (("mean_difference", "asked"), ("mean_difference", "stated"), ("gradient", "asked"))
SHARES = ("rate", "well_formed", "consistent", "repetition")
MEASURES = (*SHARES[:3], "loss_nats_per_token", "kl_nats_per_token", "repetition")
TRIALS = SHARES[:3]

Ratios = dict[str, Ratio]
"""By measure, over "dose direction text"."""


@dataclass(frozen=True, kw_only=True)
class DoseExperiment:
    """What stays the same while doses and directions change.

    Attributes:
        model: to steer.
        prompts: texts to continue.
        read: counts what a text says: `rate`, `well_formed` and `consistent`.
        where: positions that are edited.
        n_tokens: to generate.
        temperature: of the sampling; 0 is greedy.
        seed: of the sampling.
    """

    model: LanguageModel
    prompts: tuple[str, ...]
    read: TextReader
    where: Where
    n_tokens: int
    temperature: float
    seed: int

    def measure(
        self,
        site: tuple[str, int],
        vectors: Float[Tensor, "direction d_model"],
        doses: Sequence[float],
        *,
        prompts: int | None = None,
        check: bool = False,
    ) -> tuple[Ratios, list[str]]:
        """Every dose of every vector on the first `prompts` prompts, and the texts in that order.

        Raises:
            ReadoutError: `check` is set and at dose 0 the tokens are not the unsteered ones.
        """
        texts = self.prompts[:prompts]
        rows = self._rows(site, vectors, doses, texts)
        generated = generate_rows(self.model, rows)
        if check:
            check_rest(self.model, rows, generated)
        shape = (len(doses), len(vectors), len(texts))
        return text_ratios(generated, self.read, texts, shape), generated.texts

    def _rows(
        self,
        site: tuple[str, int],
        vectors: Float[Tensor, "direction d_model"],
        doses: Sequence[float],
        texts: Sequence[str],
    ) -> SteeredRows:
        """A row for each dose, direction and prompt, in this order."""
        sizes = {"dose": len(doses), "direction": len(vectors), "text": len(texts)}
        rows = "(dose direction text)"
        strengths = torch.tensor(doses, dtype=torch.float32)
        edit = added_by_row(
            site,
            repeat(vectors, f"direction d_model -> {rows} d_model", **sizes),
            repeat(strengths, f"dose -> {rows}", **sizes),
            self.where,
            self.model.cfg.n_ctx,
        )
        arms = len(doses) * len(vectors)
        prompts = [self.model.tokenizer.encode(text) for text in texts]
        return SteeredRows(
            prompts=prompts * arms,
            # By prompt alone: rows of one prompt share their random numbers.
            seeds=[self.seed * 1_000_003 + i for i in range(len(texts))] * arms,
            edits=[edit],
            sampling={"max_new_tokens": self.n_tokens, "temperature": self.temperature},
        )


def check_rest(model: LanguageModel, rows: SteeredRows, generated: GeneratedRows) -> None:
    """Rows of dose 0 must be the very tokens of the unedited model.

    The unedited model gets the same batch, for another batch may round otherwise.

    Raises:
        ReadoutError: they are not, so the other doses cannot be trusted either.
    """
    plain = generate_rows(model, replace(rows, edits=[]))
    (edit,) = rows.edits
    at_rest = torch.nonzero(edit.scale == 0).flatten().tolist()
    wrong = [row for row in at_rest if plain.tokens[row] != generated.tokens[row]]
    if wrong:
        raise ReadoutError(
            f"At dose 0 the tokens must be those of the unsteered model; {len(wrong)} of "
            f"{len(at_rest)} rows differ. This model's edits or its batching change more than "
            "they should; nothing it generates under an edit can be compared."
        )


def best_doses(ratios: Ratios, doses: Sequence[float]) -> list[int]:
    """For each direction, the dose above 0 with the highest rate that leaves the text whole.

    Whole: it does not break (see `broken`) and, where a world reads it, 90 % of the sentences are
    well formed. -1 where no dose raises the rate, or where that without steering is not known.
    """
    rest, values = doses.index(0.0), {name: ratio.value for name, ratio in ratios.items()}
    rates = values["rate"]
    allowed = (torch.tensor(doses)[:, None] > 0) & ~broken(values, rest)
    allowed = allowed & ~(values["well_formed"] < LEAST_WELL_FORMED) & (rates > rates[rest])
    highest, dose = torch.where(allowed, rates, -1.0).max(0)
    return torch.where(highest >= 0, dose, -1).tolist()


def broken(
    values: Mapping[str, Float[Tensor, "dose *direction"]], rest: int
) -> Bool[Tensor, "dose *direction"]:
    """At which doses the text breaks, compared with that of dose 0.

    It breaks where fewer than 90 % as many sentences are well formed (where a world reads them),
    where a token is less than 2/3 as probable under the unedited model (loss up by ln 1.5), where a
    tenth more of the trigrams stood before, and where nothing is written.

    Args:
        values: by measure, those of `HEALTH`; nan where nothing was counted.
        rest: number of dose 0.
    """
    well, loss, again = (values[name] for name in HEALTH)
    worse = well < LEAST_WELL_FORMED * well[rest]
    # Loss alone misses a text that repeats itself, which is probable; repetition misses noise.
    worse = worse | (loss > loss[rest] + log(MOST_LOSS_RATIO)) | loss.isnan()
    worse = worse | (again > again[rest] + MOST_MORE_REPETITION)
    worse[rest] = False
    return worse


def dose_response(
    main: Ratios, control: Ratios, bias: Ratios | None, doses: Sequence[float], seed: int
) -> dict[str, object]:
    """Measures, those of the random directions and of the logit bias, the best doses and gains.

    Args:
        main: of the direction.
        control: of random directions.
        bias: of the word's logit bias; None where there is none.
        doses: of all of them.
        seed: of the resampling.
    Returns:
        Fields of `Steering`.
    """
    rest = doses.index(0.0)
    measures, random = measured(main, doses, seed), {}
    for name, intervals in measures.items():
        # Random directions continue fewer prompts, whose level may differ by chance; so only their
        # change from dose 0 is taken, and added to where the direction itself starts.
        values = control[name].value
        moved = values - values[rest] + intervals[rest].value
        random[name] = moved.clamp(0, 1) if name in SHARES else moved
    [best], others = best_doses(main, doses), best_doses(control, doses)
    rates = random["rate"]
    fields = {"measures": measures, "random": random, "best": best}
    fields |= _bias_fields(bias, doses, seed)
    if best < 0:
        return fields | {"gain": UNKNOWN, "ratio": UNKNOWN, "z": nan, "p": 1.0}
    gain = gain_of(main["rate"], best, rest, seed)
    gains = [float(rates[i, k] - rates[rest, k]) if i >= 0 else 0.0 for k, i in enumerate(others)]
    return fields | {
        "gain": gain,
        "ratio": main["rate"].quotient((best, 0), (rest, 0), seed),
        "z": _z(measures["rate"][best].value, rates[best]),
        "p": _p(gain.value, gains),
    }


def measured(ratios: Ratios, doses: Sequence[float], seed: int) -> dict[str, tuple[Interval, ...]]:
    """Every measure of the first direction, an interval a dose."""
    return {
        name: tuple(
            ratios[name].interval(dose, 0, seed=seed, trials=name in TRIALS)
            for dose in range(len(doses))
        )
        for name in MEASURES
    }


def gain_of(ratio: Ratio, dose: int, rest: int, seed: int) -> Interval:
    """The first direction's value at one dose less that at another, over the same prompts."""
    gain = ratio.difference((dose, 0), (rest, 0), seed)
    if gain.low == gain.high:
        # Every text agrees under both doses, so that no resample differs; the exact intervals say
        # how little that may mean, and what the difference of their ends can be at most.
        here, before = (ratio.interval(i, 0, seed=seed, trials=True) for i in (dose, rest))
        gain = replace(gain, low=here.low - before.high, high=here.high - before.low)
    return gain


def _bias_fields(bias: Ratios | None, doses: Sequence[float], seed: int) -> dict[str, object]:
    if bias is None:
        nothing = dict.fromkeys(MEASURES, (UNKNOWN,) * len(doses))
        return {"bias": nothing, "bias_best": -1, "bias_gain": UNKNOWN}
    [best], rest = best_doses(bias, doses), doses.index(0.0)
    gain = gain_of(bias["rate"], best, rest, seed) if best >= 0 else UNKNOWN
    return {"bias": measured(bias, doses, seed), "bias_best": best, "bias_gain": gain}


def _z(value: float, random: Float[Tensor, " direction"]) -> float:
    known = random[~random.isnan()]
    # Where all random directions do the same, nothing is any number of their deviations away.
    if len(known) < 2 or float(known.std()) < ROUNDING:
        return nan
    return float((value - known.mean()) / known.std())


def _p(gain: float, gains: Sequence[float]) -> float:
    # The direction had its pick of the doses, so each random one gets its own best dose too. It
    # counts among the draws itself: by chance alone, it is as likely as any to be the largest.
    return (sum(other >= gain - ROUNDING for other in gains) + 1) / (len(gains) + 1)


def read_sites(n_layers: int) -> list[tuple[str, int]]:
    """The residual streams that a later layer reads: after the last an edit writes the answer."""
    return [("resid_post", layer) for layer in range(n_layers - 1)] or [("resid_pre", 0)]


def candidate_concepts(
    model: LanguageModel, word: str, world: World, sites: Sequence[Name], **options: Any
) -> dict[str, Concept]:
    """The word's concept at every site, by each way of finding it that has examples enough.

    Raises:
        NotEnoughDataError: none has.
    """
    candidates: dict[str, Concept] = {}
    call = {"positive": word, "negative": None, "world": world, "n_stories": 400, **options}
    for method, at in WAYS:
        try:
            concepts = concepts_at(model, {**call, "method": method, "at": at}, sites)
        except NotEnoughDataError:
            continue
        for concept in concepts:
            short, layer = concept.site
            candidates[f"{method.replace('_', ' ')}, {at}, {short} {layer}"] = concept
    if not candidates:
        raise NotEnoughDataError(
            f"Steering to {word!r} needs 8 facts or more about it and as many about its kin; world "
            f"{world.name!r} has fewer in 400 stories. Choose another word."
        )
    return candidates


def search_sites(
    candidates: Mapping[str, Concept], experiment: DoseExperiment
) -> tuple[Concept, Where, dict[str, float]]:
    """The candidate and positions with the largest gain that leaves sentences whole.

    Returns:
        The concept, where to edit, and the gain of everything that was tried.
    """
    gains: dict[str, float] = {}
    trials: dict[str, tuple[Concept, Where]] = {}
    for name, concept in candidates.items():
        trials[name] = (concept, experiment.where)
        if concept.method == "gradient" and experiment.where == Where():
            trials[f"{name}, where written"] = (concept, concept.where_written)
    for name, (concept, where) in trials.items():
        vector = concept.direction[None] * concept.median_norm
        ratios, _ = replace(experiment, where=where).measure(concept.site, vector, TRIED_DOSES)
        [best] = best_doses(ratios, TRIED_DOSES)
        rates = ratios["rate"].value[:, 0]
        gains[name] = float(rates[best] - rates[0]) if best >= 0 else 0.0
    return *trials[max(gains, key=gains.get)], gains
