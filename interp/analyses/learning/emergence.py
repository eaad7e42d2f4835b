"""What appeared when, over several runs, and which of the jumps is only the metric's.

A curve is fitted by least squares as flat, straight over log(1 + step), flat; both change points
are searched on a grid. A jump of accuracy is the metric's where log-probability, less that of a
wrong answer of the same kind, took at least twice as long. One change a curve: of two it gives the
larger, or their span.

Control: the run's first checkpoint and a fresh model of the same config, and, at the last
checkpoint, another story's answers or shuffled labels. A change counts only beyond all of them,
with its whole interval for the better, where the fit explains half of the curve's variation, and
where flat noise at these checkpoints would seldom be fitted as well: p < 0.05 by simulation, with
Holm's correction for the curves of a run. Seven checkpoints can show a clear change, not a faint
one (docs/calibration.md has the rates of false alarms).

Units: steps; changes in the curve's own unit. Intervals draw stories and the fit's residuals anew
and are never narrower than the gap between the checkpoints around the change. Over three runs or
more: a t interval over runs, on log step; over two, their range.

    interp run emergence --model runs/seed-0 --world stories --runs runs/seed-1 --csv when.csv
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from interp.analyses.learning._emergence_test import (
    APPEARED,
    emergence_tests,
    fields,
    jump_verdict,
    rule,
)
from interp.core.errors import ConfigError
from interp.core.protocols import LanguageModel
from interp.methods.checkpoints.change_points import ChangePoints
from interp.methods.checkpoints.evaluation_set import Settings
from interp.methods.checkpoints.over_checkpoints import timeline
from interp.methods.measures import get_measure
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.runs.checkpoints import chosen_steps, numbered_names
from interp.worlds.world import World

MEASURES = ("accuracy", "log_prob", "induction", "previous_token", "in_context", "probe_accuracy")
METRIC_WORDS = {
    "metric": "the jump is the metric's: log-probability rose long before and more slowly",
    "model": "the jump is the model's: log-probability jumped as well",
    "unclear": "not decided: the intervals allow both",
    "none": "no jump of accuracy to explain",
}


@dataclass(frozen=True, kw_only=True)
class Emergence(Result):
    """Change points of curves, a run each, with verdicts.

    Attributes:
        runs: names of the runs.
        steps: the training steps of the checkpoints that all runs have.
        curves: names of the curves: `accuracy: place` ….
        measures: each curve's measure.
        units: each curve's unit.
        better: `high` or `low`: the better side of each curve.
        values: the curves themselves.
        fitted: the least-squares fit: flat, straight over log step, flat.
        when: step halfway through the change; bound = value, low, high (95 %; never narrower than
            the gap between the checkpoints around it).
        onset: step at which the change begins.
        end: step at which the change is over.
        change: level after less level before, in the curve's unit.
        explained: share of the curve's variation that the fit explains.
        control: the shuffled control at the last checkpoint; nan without one.
        untrained: the better of each curve's first checkpoint and its value in a fresh model.
        verdicts: `appeared`, `came and went`, `did not appear`, `no better than its control`.
        typical: each curve's step over the runs in which it appeared: geometric mean, with a t
            interval from three runs on, else the range.
        jumps: for each run and kind of question: `metric`, `model`, `unclear` or `none`.
        kinds: the kinds of question, in the order of `jumps`.
        p: chance that flat noise at these checkpoints is fitted as well by a change for the better,
            with Holm's correction for the curves of a run; 1 for a change for the worse; None in
            results of earlier versions.
    """

    runs: tuple[str, ...]
    steps: tuple[int, ...]
    curves: tuple[str, ...]
    measures: tuple[str, ...]
    units: tuple[str, ...]
    better: tuple[str, ...]
    values: Float[Tensor, "run curve step"]
    fitted: Float[Tensor, "run curve step"]
    when: Float[Tensor, "run curve bound"]
    onset: Float[Tensor, "run curve"]
    end: Float[Tensor, "run curve"]
    change: Float[Tensor, "run curve bound"]
    explained: Float[Tensor, "run curve"]
    control: Float[Tensor, "run curve"]
    untrained: Float[Tensor, "run curve"]
    verdicts: tuple[tuple[str, ...], ...]
    typical: Float[Tensor, "curve bound"]
    jumps: tuple[tuple[str, ...], ...]
    kinds: tuple[str, ...]
    p: Float[Tensor, "run curve"] | None = None
    columns: ClassVar = {
        "step": "when",
        "onset": "onset",
        "end": "end",
        "change": "change",
        "last": "last",
        "untrained": "untrained",
        "shuffled": "control",
        "explained": "explained",
    }
    labels: ClassVar = {
        "run": ("run", "runs"),
        "curve": ("curve", "curves"),
        "unit": ("curve", "units"),
        "verdict": ("run curve", "verdicts"),
        "jump": ("run curve", "jumps_of_curves"),
        "p_holm": ("run curve", "p_of_curves"),
    }

    @property
    def last(self) -> Float[Tensor, "run curve"]:
        """Each curve at the last checkpoint."""
        return self.values[..., -1]

    @property
    def jumps_of_curves(self) -> tuple[tuple[str, ...], ...]:
        """By run and curve, `jumps` where the curve is an accuracy of a kind; else empty."""
        kinds = [curve.removeprefix("accuracy: ") for curve in self.curves]
        return tuple(
            tuple(dict(zip(self.kinds, jumps, strict=True)).get(kind, "") for kind in kinds)
            for jumps in self.jumps
        )

    @property
    def p_of_curves(self) -> tuple[tuple[float, ...], ...]:
        """By run and curve, `p`; nan in results of earlier versions."""
        if self.p is None:
            return ((math.nan,) * len(self.curves),) * len(self.runs)
        return tuple(tuple(of_run) for of_run in self.p.tolist())

    def appeared_in(self, curve: int) -> int:
        """In how many runs a curve appeared, by the curve's number."""
        return sum(of_run[curve] == APPEARED for of_run in self.verdicts)

    def finding(self) -> str:
        n, counts = len(self.runs), [self.appeared_in(i) for i in range(len(self.curves))]
        order = sorted(
            (i for i, count in enumerate(counts) if count == n),
            key=lambda i: float(self.typical[i, 0]),
        )
        earliest = ", ".join(f"{self.curves[i]} {self._step(i)}" for i in order[:4])
        first = f" (first: {earliest})" if earliest else ""
        some = sum(0 < count < n for count in counts)
        in_some = f", {some} in some of them" if some else ""
        return (
            f"Of {len(counts)} curves, {len(order)} appeared{' in every run' * (n > 1)}{first}"
            f"{in_some}; {counts.count(0)} did not, did not stay, or not beyond a control; "
            f"n = {n} run{'s' * (n > 1)}."
        )

    def _step(self, i: int) -> str:
        value, low, high = self.typical[i].tolist()
        return f"at step {value:,.0f} [{low:,.0f}, {high:,.0f}]"

    def caption(self) -> str:
        return (
            f"{self.finding()} A curve is fitted, by least squares, as flat, straight over "
            "log(1 + step), flat; `when` is halfway. Intervals, 95 %: stories and the fit's "
            "residuals resampled, and at least the gap between the checkpoints around it; over "
            "three runs or more, a t interval over runs, else their range. "
            f"{rule(self.p is not None)} "
            f"{self._jumps()} The method places one change a curve: of two changes it tells the "
            "larger or their span."
        )

    def _jumps(self) -> str:
        """What log-probability says of accuracy's jumps."""
        counts = {
            verdict: sum(of_run.count(verdict) for of_run in self.jumps) for verdict in METRIC_WORDS
        }
        summary = "; ".join(f"{METRIC_WORDS[name]}: {n}" for name, n in counts.items() if n)
        if not summary:
            return ""
        return (
            "Accuracy compared with log-probability, kinds of question by runs, each by its own "
            f"interval: {summary}."
        )


def emergence(
    model: LanguageModel,
    world: World | None = None,
    *,
    runs: Sequence[LanguageModel] = (),
    measures: Sequence[str] = (),
    texts: Sequence[str] = (),
    steps: Sequence[int] = (),
    n_stories: int = 128,
    n_probed: int = 200,
    n_sequences: int = 16,
    level: str = "full",
    n_boot: int = 400,
    seed: int = 0,
) -> Emergence:
    """Find when each ability appeared, if it did, and whether its jump is only the metric's.

    Args:
        model: opened from a run.
        world: the world whose stories are read; see `checkpoint_metrics`.
        runs: runs of other seeds, each opened from its folder; measured on the same stories, at the
            steps that all have.
        measures: as `checkpoint_metrics` takes them, those with a better and a worse side; none =
            accuracy, log_prob, induction, previous_token, in_context, probe_accuracy, where they
            can be had.
        texts: texts to read in place of the world's stories.
        steps: training steps of the checkpoints, five or more; none = all that the runs share.
        n_stories: held-out stories to read.
        n_probed: other stories that probes are fitted and tested on; 0 = no probes.
        n_sequences: random tokens said twice, for the heads.
        level: the world's level of difficulty.
        n_boot: draws of stories and residuals behind an interval.
        seed: the seed of everything that is sampled.
    Returns:
        Emergence: steps with intervals and verdicts, a run and curve each.
    Raises:
        NotEnoughDataError: under five shared checkpoints.
        ConfigError: a measure without a better side, or one that needs what was not given.
    Example:
        >>> emergence(model, world).frame()  # doctest: +SKIP
    Source:
        Schaeffer et al. 2023, "Are Emergent Abilities of Large Language Models a Mirage?"; Hudson
        1966 (joined segments). Differs: log-probability is taken relative to a wrong answer's, so
        that learning the form of an answer does not count as a smooth rise.
    """
    call = dict(locals())
    models = [model, *runs]
    # The steps that all runs have a checkpoint of.
    shared = tuple(sorted(set.intersection(*(set(chosen_steps(each, steps)) for each in models))))
    change_points = ChangePoints(shared)
    settings = Settings(
        measures=_measures(models[0], world, measures, texts, n_probed), texts=texts, steps=shared,
        n_stories=n_stories, n_probed=n_probed, n_sequences=n_sequences, level=level, seed=seed,
    )  # fmt: skip
    timelines = [
        timeline(each, world, settings, n_runs=len(models) - number)
        for number, each in enumerate(models)
    ]
    labels = [
        label
        for label in (curve.label for curve in timelines[0].curves)
        if all(label in {c.label for c in run.curves} for run in timelines)
    ]
    tests = [emergence_tests(run, labels, change_points, n_boot, seed) for run in timelines]
    kinds = [name.partition(": ")[2] for name in labels if name.startswith("accuracy: ")]
    kinds = [kind for kind in kinds if f"log_prob: {kind}" in labels]
    return Emergence(
        runs=numbered_names(models),
        steps=shared,
        curves=tuple(labels),
        **fields(tests, change_points),
        jumps=tuple(
            tuple(
                jump_verdict(
                    run, of_run[labels.index(f"accuracy: {kind}")], change_points, n_boot, seed
                )
                for kind in kinds
            )
            for run, of_run in zip(timelines, tests, strict=True)
        ),
        kinds=tuple(kinds),
        provenance=provenance(emergence, call, hooks=("pattern", "resid_post")),
    )


def _measures(
    model: LanguageModel,
    world: World | None,
    measures: Sequence[str],
    texts: Sequence[str],
    n_probed: int,
) -> tuple[str, ...]:
    if neutral := [name for name in measures if not get_measure(name).better]:
        raise ConfigError(
            f"{', '.join(neutral)} has no better and no worse side, so nothing can appear in it. "
            "Ask `checkpoint_metrics` for it."
        )
    if measures:
        return tuple(measures)
    needs = {"accuracy": world, "log_prob": world, "in_context": world or texts}
    needs["probe_accuracy"] = world and n_probed
    return tuple(name for name in MEASURES if needs.get(name, True))
