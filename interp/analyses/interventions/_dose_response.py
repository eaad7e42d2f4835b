"""Counts over doses, directions and prompts, and what follows from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.analyses.interventions._steered_generation import (
    Marks,
    Outcome,
    Plan,
    carry_out,
    repetition,
)
from interp.core.edits import Where
from interp.core.errors import ReadoutError
from interp.core.protocols import LanguageModel
from interp.core.statistics.intervals import (
    UNKNOWN,
    Interval,
    bootstrap,
    bootstrap_ratio,
    clopper_pearson,
)

Reader = Callable[[str, str], Marks]
"""Takes a prompt and the text that followed it."""

LEAST_WELL_FORMED = 0.9
MEASURES = {
    "rate": ("hits", "mentions"),
    "well_formed": ("well_formed", "sentences"),
    "consistent": ("consistent", "well_formed"),
    "loss_nats_per_token": ("loss", "tokens"),
    "kl_nats_per_token": ("kl", "tokens"),
    "repetition": ("repeated", "trigrams"),
}
SHARES = {"rate", "well_formed", "consistent", "repetition"}


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Sums of each text: what `Marks` counts, and nats, tokens and repeated trigrams."""

    hits: Float[Tensor, "dose direction prompt"]
    mentions: Float[Tensor, "dose direction prompt"]
    sentences: Float[Tensor, "dose direction prompt"]
    well_formed: Float[Tensor, "dose direction prompt"]
    consistent: Float[Tensor, "dose direction prompt"]
    loss: Float[Tensor, "dose direction prompt"]
    kl: Float[Tensor, "dose direction prompt"]
    tokens: Float[Tensor, "dose direction prompt"]
    repeated: Float[Tensor, "dose direction prompt"]
    trigrams: Float[Tensor, "dose direction prompt"]

    def ratio(self, part: str, whole: str) -> Float[Tensor, "dose direction"]:
        """Sum over prompts of one count over another; nan where there is nothing."""
        return getattr(self, part).sum(-1) / getattr(self, whole).sum(-1)

    def interval(self, dose: int, part: str, whole: str, seed: int) -> Interval:
        """The same for the first direction at one dose, with its interval over prompts."""
        parts, wholes = getattr(self, part)[dose, 0], getattr(self, whole)[dose, 0]
        found = bootstrap_ratio(parts, wholes, seed=seed)
        bounded = part in ("hits", "well_formed", "consistent")
        if bounded and found.value in (0.0, 1.0):
            # Every prompt agreed; the bootstrap would call that certain.
            return clopper_pearson(round(found.value * found.n), found.n)
        return found

    def gain(self, dose: int, base: int, seed: int) -> Interval:
        """Rate at a dose less the rate at another, over the same prompts."""
        hits, mentions = self.hits[:, 0], self.mentions[:, 0]

        def difference(weights: Tensor) -> Tensor:
            here, there = (weights @ hits[i] / (weights @ mentions[i]) for i in (dose, base))
            return here - there

        return bootstrap(difference, hits.shape[1], seed=seed)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What stays the same while doses and directions change.

    Attributes:
        model: to steer.
        prompts: texts to continue.
        read: counts what a text mentions.
        graded: whether `read` knows which sentences are well formed.
        where: positions that are edited.
        n_tokens: to generate.
        temperature: of the sampling; 0 is greedy.
        seed: of the sampling.
    """

    model: LanguageModel
    prompts: tuple[str, ...]
    read: Reader
    graded: bool
    where: Where
    n_tokens: int
    temperature: float
    seed: int

    def sweep(
        self,
        site: tuple[str, int],
        vectors: Float[Tensor, "direction d_model"],
        doses: Sequence[float],
        *,
        prompts: int | None = None,
        check: bool = False,
    ) -> tuple[Tally, list[str]]:
        """Every dose of every vector on the first `prompts` prompts, and the texts in that order.

        Raises:
            ReadoutError: `check` is set and at dose 0 the tokens are not the unsteered ones.
        """
        texts = self.prompts[:prompts]
        plan = Plan(
            prompts=tuple(tuple(self.model.tokenizer.encode(text)) for text in texts),
            **_grid(vectors, doses, len(texts)),
            site=site,
            where=self.where,
            n_tokens=self.n_tokens,
            temperature=self.temperature,
            seed=self.seed,
        )
        outcome = carry_out(self.model, plan)
        if check:
            check_rest(self.model, plan, outcome)
        shape = (len(doses), len(vectors), len(texts))
        return tally(outcome, self.read, texts, shape), outcome.texts


def _grid(
    vectors: Float[Tensor, "direction d_model"], doses: Sequence[float], n_prompts: int
) -> dict[str, Tensor]:
    """A row for each dose, direction and prompt, in this order."""
    sizes = (len(doses), len(vectors), n_prompts)
    axes = torch.meshgrid(*map(torch.arange, sizes), indexing="ij")
    dose, direction, prompt = (axis.flatten() for axis in axes)
    strengths = torch.tensor(doses, dtype=torch.float32)
    return {"prompt": prompt, "vectors": vectors[direction], "doses": strengths[dose]}


def tally(
    outcome: Outcome, read: Reader, prompts: Sequence[str], shape: tuple[int, int, int]
) -> Tally:
    """Read every text and sum."""
    counts: dict[str, list[float]] = {}
    for row, (tokens, text) in enumerate(zip(outcome.tokens, outcome.texts, strict=True)):
        found = vars(read(prompts[row % len(prompts)], text)) | repetition(tokens)
        for name, number in found.items():
            counts.setdefault(name, []).append(number)
    sums = {"loss": outcome.loss_nats, "kl": outcome.kl_nats, "tokens": outcome.lengths}
    filled = {name: torch.tensor(rows) for name, rows in counts.items()} | sums
    return Tally(**{name: rows.double().view(shape) for name, rows in filled.items()})


def check_rest(model: LanguageModel, plan: Plan, outcome: Outcome) -> None:
    """Rows of dose 0 must be the very tokens of the unedited model.

    The unedited model gets the same batch, for another batch may round otherwise.

    Raises:
        ReadoutError: they are not, so the other doses cannot be trusted either.
    """
    plain = carry_out(model, plan, edited=False)
    at_rest = torch.nonzero(plan.doses == 0).flatten().tolist()
    wrong = [row for row in at_rest if plain.tokens[row] != outcome.tokens[row]]
    if wrong:
        raise ReadoutError(
            f"At dose 0 the tokens must be those of the unsteered model; {len(wrong)} of "
            f"{len(at_rest)} rows differ. This model's edits or its batching change more than "
            "they should; nothing it generates under an edit can be compared."
        )


def best_dose(counts: Tally, doses: Sequence[float], graded: bool) -> list[int]:
    """For each direction, the dose above 0 with the highest rate that leaves the text whole.

    Whole: 90 % of sentences well formed, where that is known. -1 where no dose raises the rate.
    """
    rates = counts.ratio("hits", "mentions").nan_to_num(-1.0)
    allowed = torch.tensor(doses)[:, None].expand_as(rates) > 0
    if graded:
        allowed = allowed & (counts.ratio("well_formed", "sentences") >= LEAST_WELL_FORMED)
    allowed = allowed & (rates > rates[doses.index(0.0)])
    highest, at = torch.where(allowed, rates, -1.0).max(0)
    return torch.where(highest >= 0, at, -1).tolist()


def compare(
    main: Tally, control: Tally, doses: Sequence[float], graded: bool, seed: int
) -> dict[str, object]:
    """Measures, the random band, the best dose and how far it stands out.

    Random directions continue fewer prompts, so what is compared is the change from dose 0.
    """
    rest = doses.index(0.0)
    measures, drawn = {}, {}
    for name, ratio in MEASURES.items():
        measures[name] = tuple(main.interval(dose, *ratio, seed) for dose in range(len(doses)))
        values = control.ratio(*ratio)
        moved = values - values[rest] + measures[name][rest].value
        drawn[name] = moved.clamp(0, 1) if name in SHARES else moved
    [best], others = best_dose(main, doses, graded), best_dose(control, doses, graded)
    gain = main.gain(best, rest, seed) if best >= 0 else UNKNOWN
    rates = drawn["rate"]
    gains = [float(rates[i, k] - rates[rest, k]) if i >= 0 else 0.0 for k, i in enumerate(others)]
    as_much = sum(other >= gain.value for other in gains)
    return {
        "measures": measures,
        "random": drawn,
        "best": best,
        "gain": gain,
        "z": _z(measures["rate"][best].value, rates[best]) if best >= 0 else float("nan"),
        "p": (as_much + 1) / (len(gains) + 1) if best >= 0 else 1.0,
    }


def _z(value: float, drawn: Float[Tensor, " direction"]) -> float:
    known = drawn[~drawn.isnan()]
    return float((value - known.mean()) / known.std()) if len(known) > 1 else float("nan")
