"""Whether a curve's change is more than its controls, when it was, and how sudden."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.statistics.significance import holm
from interp.methods.checkpoints.change_points import ChangePoints, PiecewiseFit, resampled_curves
from interp.methods.checkpoints.measure_scores import TAILS, Curve
from interp.methods.checkpoints.over_checkpoints import Timeline
from interp.methods.measures import get_measure

APPEARED, ABSENT, CONTROLLED = "appeared", "did not appear", "no better than its control"
WENT = "came and went"
LEAST_EXPLAINED = 0.5
SIGNIFICANT = 0.05
# Widths are differences of log(1 + step): a difference of logarithms is a factor of steps.
SUDDEN = math.log(4)
FACTOR = math.log(2)


@dataclass(frozen=True, kw_only=True)
class EmergenceTest:
    """Whether one curve of one run changed for the better, and when.

    Attributes:
        curve: the curve that is tested.
        fitted: the piecewise-linear fit's values at the checkpoints.
        when: step halfway through the change, and its interval's ends.
        onset: step at which the change begins.
        end: step at which the change is over.
        change: level after less level before, and its interval's ends.
        explained: share of the curve's variation that the fit explains.
        control: the shuffled control at the last checkpoint; nan without one.
        untrained: the better of the first checkpoint and a fresh model.
        p: of flat noise explained as well, corrected for the curves of the run (Holm); 1 for a
            change for the worse.
        verdict: APPEARED, WENT, ABSENT or CONTROLLED.
    """

    curve: Curve
    fitted: Float[Tensor, " step"]
    when: tuple[float, float, float]
    onset: float
    end: float
    change: tuple[float, float, float]
    explained: float
    control: float
    untrained: float
    p: float
    verdict: str


def rule(is_compared: bool) -> str:
    """When a curve appeared, in words.

    Args:
        is_compared: whether it was also compared with flat noise; earlier versions did not.
    """
    explained = "half of the curve's variation is explained"
    noise = (
        f"{explained}, and flat noise is fitted as well in under 5 % of all cases (Holm's "
        "correction for the curves of a run)"
        if is_compared
        else f"and {explained} (this earlier version did not compare it with flat noise)"
    )
    return (
        "It appeared if the change is for the better with its whole interval, the last "
        "checkpoint's interval lies beyond the first checkpoint, a fresh model and the shuffled "
        f"control, {noise}; it came and went if the last checkpoint is back on the side where the "
        "curve began."
    )


def emergence_tests(
    timeline: Timeline, labels: Sequence[str], change_points: ChangePoints, n_boot: int, seed: int
) -> list[EmergenceTest]:
    """The fits of a run's curves with their intervals and verdicts, corrected for their number."""
    of_label = {curve.label: curve for curve in timeline.curves}
    curves = [of_label[label] for label in labels]
    fits = [fit_resamples(curve, change_points, n_boot, seed) for curve in curves]
    p_values = [
        change_points.p_by_chance(float(best.explained[0]))
        if _sign(curve) * float(best.after[0] - best.before[0]) > 0
        else 1.0
        for curve, (best, _) in zip(curves, fits, strict=True)
    ]
    return [
        _test(timeline, curve, fit, p, change_points, seed)
        for curve, fit, p in zip(curves, fits, holm(p_values), strict=True)
    ]


def _sign(curve: Curve) -> float:
    """Times this, larger is better whatever the measure."""
    return -1.0 if get_measure(curve.measure).better == "low" else 1.0


def _test(
    timeline: Timeline,
    curve: Curve,
    fit: tuple[PiecewiseFit, PiecewiseFit],
    p: float,
    change_points: ChangePoints,
    seed: int,
) -> EmergenceTest:
    measure, sign, (best, resampled) = get_measure(curve.measure), _sign(curve), fit
    middle = float(best.middle[0])
    low, high = _ends(resampled.middle)
    below, above = change_points.neighbours(middle)
    change = (float(best.after[0] - best.before[0]), *_ends(resampled.after - resampled.before))
    fresh = timeline.untrained.get(curve.label, float(curve.values[0]))
    untrained = max(sign * float(curve.values[0]), sign * fresh) * sign
    shuffled = measure.control in ("shuffled answers", "shuffled labels")
    control = float(curve.controls[-1]) if shuffled else float("nan")
    least = sign * _last(curve, sign, seed, measure.is_share)
    explained = float(best.explained[0])
    return EmergenceTest(
        curve=curve,
        fitted=change_points.fitted(best)[0],
        when=tuple(math.expm1(x) for x in (middle, min(low, below), max(high, above))),
        onset=math.expm1(float(best.onset[0])),
        end=math.expm1(float(best.end[0])),
        change=change,
        explained=explained,
        control=control,
        untrained=untrained,
        p=p,
        # Intervals of the change alone would call any drift an emergence: it must also explain the
        # curve, end beyond both baselines with its worse end, and still be there at the end.
        verdict=_verdict(
            grew=min(sign * change[1], sign * change[2]) > 0
            and explained >= LEAST_EXPLAINED
            and p < SIGNIFICANT,
            over_untrained=least > sign * untrained,
            over_control=math.isnan(control) or least > sign * control,
            stayed=sign * float(curve.values[-1] - (best.before[0] + best.after[0]) / 2) > 0,
        ),
    )


def fit_resamples(
    curve: Curve, change_points: ChangePoints, n_boot: int, seed: int
) -> tuple[PiecewiseFit, PiecewiseFit]:
    """The fit of the curve itself, and of curves as they might have come."""
    values = curve.values
    best = change_points.fit(values[None])
    resampled = curve.resampled(seed, n_boot) if curve.n >= 2 else None
    curves = resampled_curves(values, change_points.fitted(best)[0], resampled, n_boot, seed)
    return best, change_points.fit(curves)


def jump_verdict(
    timeline: Timeline, test: EmergenceTest, change_points: ChangePoints, n_boot: int, seed: int
) -> str:
    """What log-probability says of accuracy's jump: `metric`, `model`, `unclear` or `none`.

    Accuracy jumps where it appeared while the steps grew less than fourfold. The jump is the
    metric's where log-probability, less a wrong answer's, took at least twice that span (in factors
    of steps) with the whole interval of the difference; the model's where it did not.
    """
    if test.verdict != APPEARED:
        return "none"
    accuracy, own = fit_resamples(test.curve, change_points, n_boot, seed)
    if float(accuracy.width[0]) > SUDDEN:
        return "none"
    label = test.curve.label.replace("accuracy: ", "log_prob: ", 1)
    log_prob = next(each for each in timeline.curves if each.label == label)
    _, other = fit_resamples(_margin(log_prob), change_points, n_boot, seed)
    # One seed draws the same stories for both curves, so the difference of widths is paired.
    low, high = _ends(other.width - own.width)
    if low > FACTOR:
        return "metric"
    return "model" if high <= FACTOR else "unclear"


def _margin(curve: Curve) -> Curve:
    """Log-probability of the right answer less that of a wrong one of its kind."""
    return Curve(
        measure=curve.measure,
        name=curve.name,
        part=curve.part - curve.control,
        whole=curve.whole,
        control=curve.control[:, :0],
    )


def fields(tests: Sequence[Sequence[EmergenceTest]], change_points: ChangePoints) -> dict:
    """The fields of the result that hold one entry a run and curve."""
    rows = {
        name: torch.tensor([[getattr(test, name) for test in run] for run in tests])
        for name in ("when", "onset", "end", "change", "explained", "control", "untrained", "p")
    }
    measures = [get_measure(test.curve.measure) for test in tests[0]]
    return rows | {
        "measures": tuple(test.curve.measure for test in tests[0]),
        "units": tuple(measure.unit for measure in measures),
        "better": tuple(measure.better for measure in measures),
        "values": torch.stack([torch.stack([t.curve.values for t in run]) for run in tests]),
        "fitted": torch.stack([torch.stack([t.fitted for t in run]) for run in tests]),
        "verdicts": tuple(tuple(test.verdict for test in run) for run in tests),
        "typical": torch.tensor(
            [_typical([run[i] for run in tests], change_points) for i in range(len(measures))]
        ),
    }


def _typical(
    tests: Sequence[EmergenceTest], change_points: ChangePoints
) -> tuple[float, float, float]:
    """The step over the runs in which it appeared; nan where it did in none.

    Never finer than the gap between the checkpoints around it, and inside the run.
    """
    whens = [test.when for test in tests if test.verdict == APPEARED]
    if len(whens) < 2:
        return whens[0] if whens else (float("nan"),) * 3
    # Checkpoints lie evenly over log step, and runs scatter by factors: means are taken of logs.
    logs = torch.tensor([math.log1p(when[0]) for when in whens], dtype=torch.float64)
    mean = float(logs.mean())
    low, high = float(logs.min()), float(logs.max())
    if len(whens) > 2:
        from scipy.special import stdtrit

        reach = float(stdtrit(len(whens) - 1, TAILS[1]) * logs.std() / math.sqrt(len(whens)))
        low, high = mean - reach, mean + reach
    below, above = change_points.neighbours(mean)
    low = max(min(low, below), float(change_points.x[0]))
    high = min(max(high, above), float(change_points.x[-1]))
    return math.expm1(mean), math.expm1(low), math.expm1(high)


def _last(curve: Curve, sign: float, seed: int, is_share: bool) -> float:
    """The worse end of the last checkpoint's interval, or its value without one."""
    value, low, high = curve.bounds(seed, is_share)[-1].tolist()
    end = low if sign > 0 else high
    return value if math.isnan(end) else end


def _verdict(*, grew: bool, over_untrained: bool, over_control: bool, stayed: bool) -> str:
    if grew and not stayed:
        return WENT
    if not (grew and over_untrained):
        return ABSENT
    return APPEARED if over_control else CONTROLLED


def _ends(resampled: Float[Tensor, " boot"]) -> tuple[float, float]:
    low, high = torch.quantile(resampled, torch.tensor(TAILS, dtype=resampled.dtype)).tolist()
    return low, high
