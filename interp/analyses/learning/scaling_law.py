"""How much text and computation a model took, and what more of either would do to its loss.

The law is L(N, D) = E + A / N^alpha + B / D^beta. On a world the truth is known, so E stands beside
the exact entropy of the text, and the caption says whether its interval holds it, and whether the
law misses the runs by more than seeds differ.

Control: runs that differ in their seed only; the world's exact floor. Too few runs are answered
with a sentence instead of a curve.

Units: operations = all products of matrices by their shapes (a multiplication and an addition are
two; attention over the whole square of pairs), backward twice as many as forward; beside it the
rule 6 N D with all parameters, which is all that is known of published models. Loss in nats per
token. Intervals resample the residuals of the log losses. Words of a world's corpus are reckoned
from the mean of some of its documents, those of your own text from its first million tokens; of
published models from 0.75 words a token.

    interp run scaling_law --runs runs/stories-sweep --html scaling.html
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.analyses.learning._training_cost import (
    HOURS,
    PUBLISHED,
    UNPUBLISHED,
    WORDS_PER_TOKEN,
    corpus_size,
    days_in_words,
    days_of_reading,
    forward_flops,
    n_multiplied,
    n_parameters,
    training_flops,
)
from interp.core.display import percent
from interp.core.errors import ConfigError, NotEnoughDataError
from interp.core.protocols import LanguageModel
from interp.core.statistics.intervals import Interval, plain
from interp.methods.checkpoints.scaling_law import Law, fit_law, why_not
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.runs.record import read_runs, record_of, tokens_a_step
from interp.worlds.world import World

if TYPE_CHECKING:
    import pandas as pd

DAYS_A_YEAR = 365.25
MISFIT = 2.0
"""How many times what seeds do a law may miss by before it is called wrong."""


@dataclass(frozen=True, kw_only=True)
class ScalingLaw(Result):
    """What a model took, and the law of its world's losses.

    Attributes:
        parameters: how many parameters the model has: N.
        multiplied: how many parameters every token is multiplied with (no look-up tables).
        tokens: how many tokens training predicted, repetitions included: D.
        corpus_tokens: how many tokens the training documents hold, each document once.
        corpus_words: how many words the training documents hold, each document once.
        words_per_minute: speed of the person who reads the corpus.
        context: tokens a row in training.
        forward_flops: operations of a forward pass over one row, by the shapes of the matrices.
        published_names: names of published models.
        published_parameters: how many parameters each published model has.
        published_tokens: how many tokens each published model was trained on.
        published_sources: the paper that gives the numbers of each published model.
        run_names: names of the sweep's runs.
        run_parameters: how many parameters each run has.
        run_tokens: how many tokens each run was trained on.
        run_loss: held-out loss of each run, nats a token.
        floor: the world's exact entropy on that text, nats a token; nan where it is not known.
        law: the fitted constants `E`, `A`, `alpha`, `B`, `beta`; empty without a fit.
        law_weights: the fitted weights and those of each resample, for curves (see `Law`).
        law_middle: mean logarithm of each varied thing, for curves.
        law_varied: what was varied: 0 parameters, 1 tokens.
        law_miss: how far the law is from the runs, root mean square, as a share of their loss.
        law_noise: how far runs that differ in their seed only are from their mean, root mean
            square, as a share of their loss; nan where there are none.
        no_law: why there is no fit; empty when there is one.
    """

    former_fields: ClassVar[Mapping[str, str]] = {
        "known_names": "published_names",
        "known_parameters": "published_parameters",
        "known_tokens": "published_tokens",
        "known_sources": "published_sources",
    }

    parameters: int
    multiplied: int
    tokens: int
    corpus_tokens: int
    corpus_words: int
    words_per_minute: float
    context: int
    forward_flops: int
    published_names: tuple[str, ...]
    published_parameters: Float[Tensor, " published"]
    published_tokens: Float[Tensor, " published"]
    published_sources: tuple[str, ...]
    run_names: tuple[str, ...]
    run_parameters: Float[Tensor, " run"]
    run_tokens: Float[Tensor, " run"]
    run_loss: Float[Tensor, " run"]
    floor: float
    law: dict[str, Interval]
    law_weights: Float[Tensor, "resample weight"]
    law_middle: Float[Tensor, " varied"]
    law_varied: tuple[int, ...]
    law_miss: float
    law_noise: float
    no_law: str

    @property
    def training_flops(self) -> float:
        """Forward and backward over all of training, by the shapes of the matrices."""
        return training_flops(self.forward_flops / self.context) * self.tokens

    @property
    def rule_flops(self) -> float:
        """Operations of all of training by the rule of thumb, 6 N D.

        Two a parameter and token for the forward pass, twice as many for the backward pass.
        """
        return 6.0 * self.parameters * self.tokens

    def reading_days(self, hours_a_day: float) -> float:
        """Days that a person takes to read the corpus once."""
        return days_of_reading(self.corpus_words, self.words_per_minute, hours_a_day)

    def finding(self) -> str:
        days = " or ".join(
            f"{days_in_words(self.reading_days(h))} at {n}" for n, h in HOURS.items()
        )
        return (
            f"A person reads this corpus of {self.corpus_words:,} words in {days}; the model read "
            f"{self.tokens:,} tokens with {_many(self.training_flops)} floating-point operations"
            f"{self._fitted_floor()}"
        )

    def caption(self) -> str:
        return (
            f"{self.finding()}. Reading speed: {self.words_per_minute:g} words a minute. The "
            f"operations are those of all products of matrices, forward, and backward twice as "
            f"many; the rule 6 N D with all {self.parameters:,} parameters gives "
            f"{_many(self.rule_flops)}. Of published models only 6 N D is known; their words are "
            f"taken as {WORDS_PER_TOKEN:g} a token. {UNPUBLISHED} {self._constants()}"
        )

    def frame(self) -> "pd.DataFrame":
        """One row a model, a run, or a constant of the law.

        A table of its own: models are compared by fields, tuples and tensors, and products of them.
        """
        import pandas as pd

        published, runs = len(self.published_names), len(self.run_names)
        tokens = self.published_tokens.tolist()
        words = [self.corpus_words, *(d * WORDS_PER_TOKEN for d in tokens), *[math.nan] * runs]
        n = [float(self.parameters), *self.published_parameters.tolist()]
        n += self.run_parameters.tolist()
        d = [float(self.tokens), *tokens, *self.run_tokens.tolist()]
        days = [days_of_reading(each, self.words_per_minute, 24) for each in words]
        columns = {
            "kind": ["this model", *["published"] * published, *["run"] * runs],
            "name": [self.provenance.model, *self.published_names, *self.run_names],
            "parameters": n,
            "training_tokens": d,
            "flops_6nd": [6 * a * b for a, b in zip(n, d, strict=True)],
            "flops_by_shapes": [self.training_flops, *[math.nan] * (published + runs)],
            "reading_years_24h_a_day": [each / DAYS_A_YEAR for each in days],
            "loss_nats_per_token": [*[math.nan] * (1 + published), *self.run_loss.tolist()],
            "source": ["", *self.published_sources, *[""] * runs],
        }
        law = [
            {"kind": "law", "name": name, "value": fit.value, "low": fit.low, "high": fit.high}
            for name, fit in self.law.items()
        ]
        return pd.DataFrame([*pd.DataFrame(columns).to_dict("records"), *law])

    def _fitted_floor(self) -> str:
        if not self.law:
            return ""
        fit = self.law["E"]
        text = f"; the law's floor E is {plain(fit, 3)}"
        if math.isnan(self.floor):
            return f"{text} nats a token"
        return f"{text}, the world's exact floor {self.floor:.3f} nats a token"

    def _constants(self) -> str:
        if not self.law:
            return self.no_law
        alone = "Only one thing was varied, so E holds what the other one still costs. "
        constants = ", ".join(
            f"{name} {fit.value:.3g} [{fit.low:.3g}, {fit.high:.3g}]"
            for name, fit in self.law.items()
        )
        return (
            f"Law of {len(self.run_names)} runs: {constants}. {self._verdict()}"
            f"{'' if len(self.law_varied) == 2 else alone}Intervals: 95 %, residuals resampled, "
            "with Student's quantile."
        )

    def _verdict(self) -> str:
        """Whether the law is right about the floor, and how well it fits at all."""
        fit = f"It misses the runs by {percent(self.law_miss, 1)}"
        if not math.isnan(self.law_noise):
            fit += f", seeds alone differ by {percent(self.law_noise, 1)}"
        if self.law_miss > MISFIT * self.law_noise:
            fit += ": these losses do not follow such a law, so its constants mean little"
        fit += ". "
        if math.isnan(self.floor):
            return fit
        if self.floor in self.law["E"]:
            return f"{fit}The interval of E holds the exact floor. "
        return f"{fit}The interval of E misses the exact floor: do not trust the law far out. "


def scaling_law(
    model: LanguageModel,
    *,
    world: World | None = None,
    runs: Sequence[str] = (),
    tokens: int | None = None,
    words: int | None = None,
    words_per_minute: float = 238.0,
    n_documents: int = 60,
    n_boot: int = 200,
    seed: int = 0,
) -> ScalingLaw:
    """Count a model's text and computation, and fit the law of losses to a sweep of runs.

    Args:
        model: opened from a run, or any model with `tokens` and `words`.
        world: the world that told the training text; None = the one on record.
        runs: folders of runs, or of a whole sweep (`interp sweep`), on one text.
        tokens: predicted in training, where no record tells.
        words: how many words the corpus has, where they cannot be measured.
        words_per_minute: reading speed; 238 is the mean of adults who read English in silence.
        n_documents: documents of each level whose words are counted.
        n_boot: resamples for the intervals of the law.
        seed: the seed of the resamples.
    Returns:
        ScalingLaw: the counts, published models beside them, and the law or why there is none.
    Raises:
        NotEnoughDataError: neither a record nor an argument tells the tokens or the words.
        ConfigError: a number that must be above 0 is not, or the runs read different text.
        CheckpointError: a run's folder is no run, or damaged.
    Example:
        >>> result = scaling_law(model, world=world, runs=["runs/stories-sweep"])  # doctest: +SKIP
        >>> result.law["E"], result.floor  # doctest: +SKIP
    Source:
        Hoffmann et al. 2022, "Training Compute-Optimal Large Language Models" (the law, approach
        3); Kaplan et al. 2020, "Scaling Laws for Neural Language Models" (6 N D); Brysbaert 2019,
        "How many words do we read per minute?". Differs: losses are compared with an exact floor.
    """
    call = dict(locals())
    _check(tokens, words, words_per_minute, n_documents, n_boot)
    folder = getattr(getattr(model, "history", None), "folder", None)
    record = record_of(folder) if folder is not None else {}
    context = record["recipe"]["context"] if tokens_a_step(record) else model.cfg.n_ctx
    trained = _trained(model, record, tokens)
    corpus = (trained, words) if words else corpus_size(model, record, folder, world, n_documents)
    given = read_runs(runs) if runs else []
    kept = [run for run in given if run.loss > 0]
    points = tuple((float(run.parameters), float(run.tokens)) for run in kept)
    losses = tuple(run.loss for run in kept)
    law, why = _law(points, losses, n_boot, seed)
    if lost := len(given) - len(kept):
        why = f"{why} {lost} runs without a finite loss were left out.".strip()
    names, parameters, trained_on, sources = zip(*PUBLISHED, strict=True)
    return ScalingLaw(
        parameters=n_parameters(model),
        multiplied=n_multiplied(model),
        tokens=trained,
        corpus_tokens=corpus[0],
        corpus_words=corpus[1],
        words_per_minute=float(words_per_minute),
        context=context,
        forward_flops=forward_flops(model, context),
        published_names=names,
        published_parameters=torch.tensor(parameters),
        published_tokens=torch.tensor(trained_on),
        published_sources=sources,
        run_names=tuple(run.name for run in kept),
        run_parameters=torch.tensor([n for n, _ in points]),
        run_tokens=torch.tensor([d for _, d in points]),
        run_loss=torch.tensor(losses),
        floor=kept[0].floor if kept else math.nan,
        law=law.values if law else {},
        law_weights=torch.tensor(law.weights if law else np.zeros((0, 0))),
        law_middle=torch.tensor(law.middle if law else np.zeros(0)),
        law_varied=law.varied if law else (),
        law_miss=law.miss if law else math.nan,
        law_noise=law.noise if law else math.nan,
        no_law=why,
        provenance=provenance(scaling_law, call),
    )


def _many(value: float) -> str:
    """A large number in words, as far as people have words for it."""
    for size, word in ((1e15, ""), (1e12, " trillion"), (1e9, " billion"), (1e6, " million")):
        if value >= size:
            return f"{value / size:.3g}{word}" if word else f"{value:.2e}"
    return f"{value:,.0f}"


def _check(
    tokens: int | None, words: int | None, words_per_minute: float, n_documents: int, n_boot: int
) -> None:
    given = {"tokens": tokens, "words": words, "words_per_minute": words_per_minute}
    given |= {"n_documents": n_documents, "n_boot": n_boot}
    for name, value in given.items():
        if value is not None and not 0 < value < math.inf:
            raise ConfigError(f"{name} needs a number above 0; got {value!r}.")


def _trained(model: LanguageModel, record: dict, tokens: int | None) -> int:
    each = tokens_a_step(record)
    if tokens is None and (each is None or model.step is None):
        raise NotEnoughDataError(
            f"How many tokens {model.name} was trained on is on record for runs only; this model "
            "has no such record. Open a run's folder, or give tokens=..."
        )
    return tokens if tokens is not None else each * model.step


@lru_cache(maxsize=16)
def _law(
    points: tuple[tuple[float, float], ...], losses: tuple[float, ...], n_boot: int, seed: int
) -> tuple[Law | None, str]:
    """The law, or why there is none; the same runs are read about at many speeds of reading."""
    if not points:
        return None, "No runs were given to fit a law of losses to: train some with interp sweep."
    if why := why_not(np.array(points)):
        return None, why
    return fit_law(np.array(points), np.array(losses), n_boot=n_boot, seed=seed), ""
