"""How often a verdict is given where there is nothing, and how often where there is something.

    python -m benchmarks.calibration
    python -m benchmarks.calibration --only emergence --share 0.2

Truth and nothing are planted in made-up curves, runs and tables, and in the weights of tiny models,
so nothing is trained; the verdict is the instrument's own code. Prints the table of
docs/calibration.md (5 CPU-minutes).

Here are the verdicts on curves and runs; on what can be read from activations in
`calibration_of_readings.py`, on what edits, parts and answers do in `calibration_of_changes.py`.
How to add one is told in `calibration_table.py`.
"""

import argparse
import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

from benchmarks import calibration_of_changes, calibration_of_readings
from benchmarks.calibration_table import (
    VERDICTS,
    Verdict,
    generator_of,
    planted_provenance,
    rates,
    row,
    verdict,
)
from interp.analyses.attention_heads.heads import SCORES, Heads
from interp.analyses.learning.curriculum import LOSS, TOKENS, Curriculum
from interp.analyses.learning.emergence import APPEARED, emergence_tests, jump_verdict
from interp.analyses.learning.scaling_law import ScalingLaw
from interp.core.statistics.intervals import Interval
from interp.core.statistics.rank_agreement import (
    agreement_over_runs,
    bootstrap_weights,
    rank_agreement,
)
from interp.core.statistics.significance import simultaneous_means
from interp.methods.checkpoints.change_points import ChangePoints
from interp.methods.checkpoints.measure_scores import Curve
from interp.methods.checkpoints.over_checkpoints import Timeline
from interp.methods.checkpoints.scaling_law import Law, fit_law

__all__ = ["VERDICTS", "Verdict", "calibration_of_changes", "calibration_of_readings", "rates"]

N_CURVES, N_STORIES, NOISE = 10, 24, 0.02
CHECKPOINTS, TOKENS_A_CHECKPOINT = 12, 100_000
N_RUNS, BUDGET = 5, 0.7
JUMP, SAME, TWICE, WIDE = 1.0, 0.0, math.log(2), 3.0
"""Spans of rises, in logarithms of steps: accuracy's, and how much more log-probability takes."""
CONSTANTS = {"E": 0.55, "A": 30.0, "alpha": 0.5, "B": 60.0, "beta": 0.45}
SIZES, TEXTS = (5e3, 2e4, 6e4, 2e5), (1e5, 3e5, 9e5)


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


@verdict(
    "emergence", "the jump is the metric's", 200, promised=0.025,
    same=("21 checkpoints; nothing: log-probability jumps too", "metric", SAME, WIDE),
    twice=("21 checkpoints; nothing: it takes twice the span", "metric", TWICE, WIDE),
)  # fmt: skip
@verdict(
    "emergence", "the jump is the model's", 200, promised=0.025,
    wide=("21 checkpoints; nothing: log-probability takes far longer", "model", WIDE, SAME),
    beyond=("21 checkpoints; nothing: it takes twice the span", "model", TWICE, SAME),
)  # fmt: skip
def jumps(claimed: str, nothing: float, truth: float, planted: bool, seed: int) -> bool:
    """Accuracy that jumps, and a log-probability that takes a span of so many factors more."""
    generator = generator_of(planted, seed)
    steps = tuple(int(1.45**i) + i for i in range(21))
    x = torch.tensor(steps, dtype=torch.float64).log1p()
    spans = {"accuracy": JUMP, "log_prob": JUMP + (truth if planted else nothing)}
    made = tuple(_rise(name, x, span, generator) for name, span in spans.items())
    run = Timeline(steps=steps, curves=made, untrained={}, measured=0)
    change_points = _change_points(steps)
    test = emergence_tests(run, [made[0].label], change_points, 60, seed)[0]
    return jump_verdict(run, test, change_points, 60, seed) == claimed


def _rise(measure: str, x: Tensor, span: float, generator: torch.Generator) -> Curve:
    """From 0 to 1 about the middle of the run, with noise; a wrong answer stays at 0."""
    noise = torch.randn(len(x), 1, generator=generator, dtype=torch.float64)
    rise = ((x - x.mean()) / span + 0.5).clamp(0, 1)[:, None]
    # Stories rise by more or less, each at all checkpoints alike.
    share = torch.linspace(0.8, 1.2, N_STORIES, dtype=torch.float64)
    part = (rise + NOISE * noise) * share
    none = torch.zeros(len(x), N_STORIES if measure == "log_prob" else 0, dtype=torch.float64)
    whole = torch.ones(len(x), N_STORIES, dtype=torch.float64)
    return Curve(measure=measure, name="place", part=part, whole=whole, control=none)


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
    return fit_law(points, _losses(points, seed), n_boot=100, seed=seed).values


def _losses(points: np.ndarray, seed: int) -> np.ndarray:
    """Of the law, with 1 % noise."""
    n, d = points.T
    clean = CONSTANTS["E"] + CONSTANTS["A"] * n ** -CONSTANTS["alpha"]
    clean += CONSTANTS["B"] * d ** -CONSTANTS["beta"]
    return clean * np.exp(0.01 * np.random.default_rng(seed).standard_normal(len(n)))


@verdict(
    "scaling_law", "the losses do not follow such a law", 60,
    all=("24 runs, two seeds each; nothing: the law with 1 % noise; planted: a wave of 8 %", 12),
    four=("16 runs, four of 12 kinds with two seeds", 4),
)  # fmt: skip
def misfit(n_twice: int, planted: bool, seed: int) -> bool:
    """A sweep of the law; or of the law times a wave in the size."""
    kinds = [[n, d] for n in SIZES for d in TEXTS]
    points = np.array(kinds + kinds[:n_twice])
    wave = 0.08 * planted * np.cos(np.pi * np.searchsorted(SIZES, points[:, 0]))
    losses = _losses(points, seed) * np.exp(wave)
    law = fit_law(points, losses, n_boot=2, seed=seed)
    return "do not follow" in _scaling(points, losses, law).caption()


verdict(
    "scaling_law", "the losses do not follow such a law", 60, is_kept=False,
    one=("13 runs, one of 12 kinds with two seeds", 1),
)(misfit)  # fmt: skip


def _scaling(points: np.ndarray, losses: np.ndarray, law: Law) -> ScalingLaw:
    nobody = torch.zeros(0)
    return ScalingLaw(
        parameters=1, multiplied=1, tokens=1, corpus_tokens=1, corpus_words=1,
        words_per_minute=1.0, context=1, forward_flops=1, published_names=(),
        published_parameters=nobody, published_tokens=nobody, published_sources=(),
        run_names=tuple(map(str, range(len(losses)))), run_parameters=torch.tensor(points[:, 0]),
        run_tokens=torch.tensor(points[:, 1]), run_loss=torch.tensor(losses), floor=math.nan,
        law=law.values, law_weights=torch.tensor(law.weights), law_varied=law.varied,
        law_middle=torch.tensor(law.middle), law_miss=law.miss, law_noise=law.noise, no_law="",
        provenance=planted_provenance("scaling_law"),
    )  # fmt: skip


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
        threshold=0.9, n_stories=100, provenance=planted_provenance("curriculum"),
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
        copy_length=32, n_sequences=len(change), simultaneous=True,
        provenance=planted_provenance("heads"),
    )  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0, help="of the situations")
    parser.add_argument("--only", default="", help="one instrument")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| verdict | situation | promised at most | false alarms | hits | n |")
    print("| --- | --- | --- | --- | --- | --- |")
    for entry in sorted(VERDICTS, key=lambda each: each.instrument):
        if options.only in ("", entry.instrument):
            print(row(entry, options.share), flush=True)


if __name__ == "__main__":
    main()
