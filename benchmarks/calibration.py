"""How often a verdict is given where there is nothing, and how often where there is something.

    python benchmarks/calibration.py
    python benchmarks/calibration.py --only emergence --share 0.2

Truth and nothing are planted in made-up curves, runs and tables, so nothing is trained; the verdict
is the instrument's own code. Prints the table of docs/calibration.md (3 CPU-minutes).

A further verdict is a function here with the decorator `verdict`: given whether something is
planted and a seed, it says whether the instrument claims something. For an interval, which is never
planted, it says whether the interval misses the truth.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch

from interp.analyses.attention_heads.heads import SCORES, Heads
from interp.analyses.learning.curriculum import LOSS, TOKENS, Curriculum
from interp.analyses.learning.emergence import APPEARED, emergence_tests
from interp.core.statistics.intervals import Interval, clopper_pearson
from interp.core.statistics.rank_agreement import (
    agreement_over_runs,
    bootstrap_weights,
    rank_agreement,
)
from interp.core.statistics.significance import simultaneous_means
from interp.methods.checkpoints.change_points import ChangePoints
from interp.methods.checkpoints.measure_scores import Curve
from interp.methods.checkpoints.over_checkpoints import Timeline
from interp.methods.checkpoints.scaling_law import fit_law
from interp.results.provenance import Provenance

Claim = Callable[[bool, int], bool]
N_CURVES, N_STORIES, NOISE = 10, 24, 0.02
CHECKPOINTS, TOKENS_A_CHECKPOINT = 12, 100_000
N_RUNS, BUDGET = 5, 0.7
CONSTANTS = {"E": 0.55, "A": 30.0, "alpha": 0.5, "B": 60.0, "beta": 0.45}
SIZES, TEXTS = (5e3, 2e4, 6e4, 2e5), (1e5, 3e5, 9e5)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A claim of an instrument in one planted situation.

    Attributes:
        instrument: whose it is.
        claim: in words.
        situation: what nothing looks like, and what is planted.
        claims: whether it is claimed, given whether something is planted, and a seed.
        n: how many situations of either kind.
        promised: the share of false alarms that the instrument promises at most.
        is_planted: whether there is a situation in which the claim is right.
        is_kept: whether the promise is kept; a situation in which it is not is told too.
    """

    instrument: str
    claim: str
    situation: str
    claims: Claim
    n: int
    promised: float
    is_planted: bool
    is_kept: bool


VERDICTS: list[Verdict] = []


def verdict(
    instrument: str,
    claim: str,
    n: int,
    *,
    promised: float = 0.05,
    is_planted: bool = True,
    is_kept: bool = True,
    **situations: tuple,
) -> Callable[[Callable], Callable]:
    """Adds a function to the table, once for each situation (its words, then arguments)."""

    def added(function: Callable) -> Callable:
        for words, *arguments in situations.values():
            entry = Verdict(
                instrument=instrument, claim=claim, situation=words, n=n, promised=promised,
                claims=partial(function, *arguments), is_planted=is_planted,
                is_kept=is_kept,
            )  # fmt: skip
            VERDICTS.append(entry)
        return function

    return added


def generator_of(planted: bool, seed: int) -> torch.Generator:
    """Draws of their own for each situation."""
    return torch.Generator().manual_seed(2 * seed + planted)


@verdict(
    "fidelity", "read better the lower the loss, over training", 400, promised=0.025,
    three=("3 runs of 8 checkpoints; nothing: unrelated random walks", 3, 8),
    five=("5 runs of 12 checkpoints", 5, 12),
    one=("1 run of 12 checkpoints (no verdict is given)", 1, 12),
)  # fmt: skip
def walks(n_runs: int, n_points: int, planted: bool, seed: int) -> bool:
    """A loss that wanders, and a readability that wanders by itself, or against it."""
    generator = generator_of(planted, seed)
    loss, own = torch.randn(2, n_runs, n_points, generator=generator).cumsum(-1)
    read = own - 2 * loss if planted else own
    runs = [run for run in range(n_runs) for _ in range(n_points)]
    return agreement_over_runs(loss.flatten(), read.flatten(), runs).high < 0


@verdict(
    "fidelity", "read better the lower the loss, models at their ends", 200, promised=0.025,
    eight=("8 models; nothing: unrelated numbers", 8), twelve=("12 models", 12),
)  # fmt: skip
def ends(n_models: int, planted: bool, seed: int) -> bool:
    """One loss and one readability a model."""
    loss, own = torch.randn(2, n_models, generator=generator_of(planted, seed)).double()
    read = own - 2 * loss if planted else own
    draws = len(bootstrap_weights(2, 300, 0))  # the stories all say the same
    rows = (values.expand(draws, -1) for values in (loss, read))
    return rank_agreement(*rows, [0] * n_models, range(n_models), seed=seed).high < 0


@verdict(
    "emergence", f"one of {N_CURVES} curves appeared", 120,
    seven=(f"7 checkpoints; nothing: {N_CURVES} flat curves with noise", 7),
    twelve=("12 checkpoints", 12), many=("21 checkpoints", 21),
)  # fmt: skip
def curves(n_steps: int, planted: bool, seed: int) -> bool:
    """Flat curves whose checkpoints differ by noise; or one that rises to ten times the noise."""
    generator = generator_of(planted, seed)
    steps = tuple(int(1.45**i) + i for i in range(n_steps))
    change_points = _change_points(steps)
    noise = torch.randn(N_CURVES, n_steps, generator=generator, dtype=torch.float64)
    rises = torch.zeros_like(noise)
    rises[0] = ((torch.arange(n_steps) - n_steps // 3) / 2).clamp(0, 1) * planted
    values = 0.3 + NOISE * (noise + 10 * rises)
    wobble = torch.linspace(-NOISE, NOISE, N_STORIES, dtype=torch.float64)
    made = tuple(
        Curve(
            measure="log_prob", name=str(i), part=row[:, None] + wobble,
            whole=torch.ones(n_steps, N_STORIES, dtype=torch.float64),
            control=torch.zeros(n_steps, 0, dtype=torch.float64),
        )
        for i, row in enumerate(values)
    )  # fmt: skip
    run = Timeline(steps=steps, curves=made, untrained={}, measured=0)
    asked = [curve.label for curve in made]
    verdicts = [test.verdict for test in emergence_tests(run, asked, change_points, 60, seed)]
    return APPEARED in (verdicts[:1] if planted else verdicts)


@cache
def _change_points(steps: tuple[int, ...]) -> ChangePoints:
    return ChangePoints(steps)


@verdict(
    "scaling_law", "the interval misses the constant", 80, is_planted=False,
    E=("E; 12 runs of the law with 1 % noise, 24 with two seeds each", "E", 1),
    alpha=("alpha, 12 runs", "alpha", 1), beta=("beta, 12 runs", "beta", 1),
    E2=("E, 24 runs", "E", 2), alpha2=("alpha, 24 runs", "alpha", 2),
    beta2=("beta, 24 runs", "beta", 2),
)  # fmt: skip
def constants(name: str, n_seeds: int, planted: bool, seed: int) -> bool:
    """A sweep whose losses follow a known law."""
    return CONSTANTS[name] not in _law(n_seeds, seed)[name]


@cache
def _law(n_seeds: int, seed: int) -> dict[str, Interval]:
    points = np.array([[n, d] for n in SIZES for d in TEXTS] * n_seeds)
    n, d = points.T
    clean = CONSTANTS["E"] + CONSTANTS["A"] * n ** -CONSTANTS["alpha"]
    clean += CONSTANTS["B"] * d ** -CONSTANTS["beta"]
    noise = 0.01 * np.random.default_rng(seed).standard_normal(len(n))
    return fit_law(points, clean * np.exp(noise), n_boot=100, seed=seed).values


@verdict(
    "curriculum", "better or worse in tokens to the threshold", 400,
    five=(f"{N_RUNS} seeds a group, 4 of 10 never arrive; planted: a third of the tokens", N_RUNS),
    three=("3 seeds a group (no verdict is given)", 3),
)  # fmt: skip
def arrivals(n_runs: int, planted: bool, seed: int) -> bool:
    """Waits of one distribution, cut where the budget ends; or those of one group a third."""
    generator = generator_of(planted, seed)
    waits = torch.randn(2, n_runs, generator=generator).mul(0.7).exp() * 0.6 * CHECKPOINTS
    waits[1] *= 1 / 3 if planted else 1
    steps = torch.arange(CHECKPOINTS)
    accuracy = (steps >= waits.flatten()[:, None]).float()
    return _runs(accuracy, torch.zeros(2 * n_runs)).verdict("b", TOKENS) in ("better", "worse")


@verdict(
    "curriculum", "better or worse in loss", 400,
    three=("3 seeds a group; planted: four standard deviations", 3), five=("5 seeds a group", 5),
)  # fmt: skip
def last_losses(n_runs: int, planted: bool, seed: int) -> bool:
    """Last losses of one distribution; or those of one group lower."""
    losses = torch.randn(2, n_runs, generator=generator_of(planted, seed))
    losses[1] -= 4 * planted
    made = _runs(torch.zeros(2 * n_runs, CHECKPOINTS), losses.flatten())
    return made.verdict("b", LOSS) in ("better", "worse")


def _runs(accuracy: torch.Tensor, last: torch.Tensor) -> Curriculum:
    n_runs, n_steps = accuracy.shape
    groups = ("a",) * (n_runs // 2) + ("b",) * (n_runs // 2)
    return Curriculum(
        runs=tuple(map(str, range(n_runs))), groups=groups, baseline="a",
        steps=tuple(range(n_steps)),
        tokens=tuple(step * TOKENS_A_CHECKPOINT for step in range(n_steps)), levels=("full",),
        kinds=("place",), questions=(100,), loss=last[:, None, None].expand(-1, n_steps, 1),
        floor=torch.zeros(1), accuracy=accuracy[..., None], shares=torch.ones(n_runs, n_steps, 1),
        threshold=0.9, n_stories=100, provenance=_planted("curriculum"),
    )  # fmt: skip


@verdict(
    "heads", "a head matters", 80, promised=0.025,
    few=("8 heads, 32 sequences; nothing: normal losses around 0", (2, 4), 32, 0),
    many=("48 heads, 32 sequences", (6, 8), 32, 0),
    above=("48 heads, 32 sequences, lognormal losses with a tail above 0", (6, 8), 32, 1),
)  # fmt: skip
def changes(shape: tuple[int, int], n_rows: int, tail: int, planted: bool, seed: int) -> bool:
    """Loss changes around 0 of every head; or one head with 1.2 standard deviations."""
    generator = generator_of(planted, seed)
    change = torch.randn(n_rows, *shape, generator=generator)
    if tail:  # lognormal, less its mean, over its standard deviation
        change = tail * (change.exp() - math.exp(0.5)) / math.sqrt(math.e * (math.e - 1))
    change[:, 0, 0] += 1.2 * planted
    matters = _heads(change).matters
    return bool(matters[0, 0, 0] if planted else matters.any())


verdict(
    "heads", "a head matters", 80, promised=0.025, is_kept=False,
    below=("48 heads, 32 sequences, lognormal losses with a tail below 0", (6, 8), 32, -1),
)(changes)  # fmt: skip


def _heads(change: torch.Tensor) -> Heads:
    shape = change.shape[1:]
    bounds = simultaneous_means(change.flatten(1)).reshape(1, *shape, 3)
    return Heads(
        scores=torch.zeros(len(SCORES), *shape, 3), untrained=torch.zeros(0, len(SCORES), *shape),
        ablation=bounds, ablated_on=("repeated tokens",), clean_loss=(), kind="mean",
        copy_length=32, n_sequences=len(change), simultaneous=True, provenance=_planted("heads"),
    )  # fmt: skip


def _planted(instrument: str) -> Provenance:
    return Provenance(instrument=instrument, model="planted", model_hash="")


def rates(entry: Verdict, share: float = 1.0) -> tuple[Interval, Interval | None]:
    """Shares of claims where nothing and where something is planted, with exact intervals.

    Args:
        entry: of `VERDICTS`.
        share: of its situations that are made.
    """
    n = max(2, round(share * entry.n))
    false, right = (
        clopper_pearson(sum(entry.claims(planted, seed) for seed in range(n)), n)
        if entry.is_planted or not planted
        else None
        for planted in (False, True)
    )
    return false, right


def row(entry: Verdict, share: float) -> str:
    """One line of the table."""
    false, right = rates(entry, share)
    cells = [
        f"{entry.instrument}: {entry.claim}",
        entry.situation,
        f"{entry.promised:.1%}{'' if entry.is_kept else ', not kept'}",
        f"{false.value:.1%} [{false.low:.1%}, {false.high:.1%}]",
        f"{right.value:.0%}" if right else "",
        str(false.n),
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0, help="of the situations")
    parser.add_argument("--only", default="", help="one instrument")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| verdict | situation | promised at most | false alarms | hits | n |")
    print("| --- | --- | --- | --- | --- | --- |")
    for entry in VERDICTS:
        if options.only in ("", entry.instrument):
            print(row(entry, options.share), flush=True)


if __name__ == "__main__":
    main()
