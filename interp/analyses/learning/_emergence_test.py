"""Whether a curve's change is more than its controls, when it was, and how sudden."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.methods.checkpoints.change_points import Change, Joints, drawn_curves
from interp.methods.checkpoints.measure_scores import TAILS, Curve
from interp.methods.checkpoints.over_checkpoints import Timeline
from interp.methods.measures import get_measure

APPEARED, ABSENT, CONTROLLED = "appeared", "did not appear", "no better than its control"
WENT = "came and went"
RULE = (
    "It appeared if the change is for the better with its whole interval, the last checkpoint's "
    "interval lies beyond the first checkpoint, a fresh model and the shuffled control, and half "
    "of the curve's variation is explained; it came and went if the last checkpoint is back on the "
    "side where the curve began."
)
LEAST_EXPLAINED = 0.5
SUDDEN = math.log(4)
FACTOR = math.log(2)


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """One curve of one run; steps are steps, not logarithms."""

    curve: Curve
    fitted: Float[Tensor, " step"]
    when: tuple[float, float, float]
    onset: float
    end: float
    change: tuple[float, float, float]
    explained: float
    control: float
    untrained: float
    verdict: str


def of_curve(line: Timeline, label: str, joints: Joints, n_boot: int, seed: int) -> Appearance:
    """The fit of a curve with its intervals and verdict."""
    curve = next(each for each in line.curves if each.label == label)
    measure = get_measure(curve.measure)
    sign = -1.0 if measure.better == "low" else 1.0
    best, draws = fits(curve, joints, n_boot, seed)
    middle = float(best.middle[0])
    low, high = _ends(draws.middle)
    below, above = joints.around(middle)
    rise = (draws.after - draws.before).sort().values
    change = (float(best.after[0] - best.before[0]), *_ends(rise))
    fresh = line.untrained.get(label, float(curve.values[0]))
    untrained = max(sign * float(curve.values[0]), sign * fresh) * sign
    shuffled = measure.control in ("shuffled answers", "shuffled labels")
    control = float(curve.controls[-1]) if shuffled else float("nan")
    least = sign * _last(curve, sign, seed, measure.is_share)
    explained = float(best.explained[0])
    return Appearance(
        curve=curve,
        fitted=joints.fitted(best)[0],
        when=tuple(math.expm1(x) for x in (middle, min(low, below), max(high, above))),
        onset=math.expm1(float(best.onset[0])),
        end=math.expm1(float(best.end[0])),
        change=change,
        explained=explained,
        control=control,
        untrained=untrained,
        verdict=_verdict(
            grew=min(sign * change[1], sign * change[2]) > 0 and explained >= LEAST_EXPLAINED,
            over_untrained=least > sign * untrained,
            over_control=math.isnan(control) or least > sign * control,
            stayed=sign * float(curve.values[-1] - (best.before[0] + best.after[0]) / 2) > 0,
        ),
    )


def fits(curve: Curve, joints: Joints, n_boot: int, seed: int) -> tuple[Change, Change]:
    """The fit of the curve itself, and of curves as they might have come."""
    values = curve.values
    best = joints.fit(values[None])
    resampled = curve.resampled(seed, n_boot) if curve.n >= 2 else None
    drawn = drawn_curves(values, joints.fitted(best)[0], resampled, n_boot, seed)
    return best, joints.fit(drawn)


def jump(line: Timeline, kind: str, joints: Joints, n_boot: int, seed: int) -> str:
    """What log-probability says of accuracy's jump: `metric`, `model`, `unclear` or `none`.

    Accuracy jumps where it appeared while the steps grew less than fourfold. The jump is the
    metric's where log-probability, less a wrong answer's, took at least twice that span (in factors
    of steps) with the whole interval of the difference; the model's where it did not.
    """
    found = of_curve(line, f"accuracy: {kind}", joints, n_boot, seed)
    if found.verdict != APPEARED:
        return "none"
    accuracy, drawn = fits(found.curve, joints, n_boot, seed)
    if float(accuracy.width[0]) > SUDDEN:
        return "none"
    log_prob = next(each for each in line.curves if each.label == f"log_prob: {kind}")
    _, other = fits(_margin(log_prob), joints, n_boot, seed)
    low, high = _ends(other.width - drawn.width)
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


def fields(found: Sequence[Sequence[Appearance]], joints: Joints) -> dict:
    """The fields of the result that hold one entry a run and curve."""
    rows = {
        name: torch.tensor([[getattr(each, name) for each in run] for run in found])
        for name in ("when", "onset", "end", "change", "explained", "control", "untrained")
    }
    about = [get_measure(each.curve.measure) for each in found[0]]
    return rows | {
        "measures": tuple(each.curve.measure for each in found[0]),
        "units": tuple(each.unit for each in about),
        "better": tuple(each.better for each in about),
        "values": torch.stack([torch.stack([e.curve.values for e in run]) for run in found]),
        "fitted": torch.stack([torch.stack([e.fitted for e in run]) for run in found]),
        "verdicts": tuple(tuple(each.verdict for each in run) for run in found),
        "typical": torch.tensor(
            [_typical([run[i] for run in found], joints) for i in range(len(about))]
        ),
    }


def _typical(found: Sequence[Appearance], joints: Joints) -> tuple[float, float, float]:
    """The step over the runs in which it appeared; nan where it did in none.

    Never finer than the gap between the checkpoints around it, and inside the run.
    """
    there = [each.when for each in found if each.verdict == APPEARED]
    if len(there) < 2:
        return there[0] if there else (float("nan"),) * 3
    logs = torch.tensor([math.log1p(when[0]) for when in there], dtype=torch.float64)
    mean = float(logs.mean())
    low, high = float(logs.min()), float(logs.max())
    if len(there) > 2:
        from scipy.special import stdtrit

        reach = float(stdtrit(len(there) - 1, TAILS[1]) * logs.std() / math.sqrt(len(there)))
        low, high = mean - reach, mean + reach
    below, above = joints.around(mean)
    low, high = max(min(low, below), float(joints.x[0])), min(max(high, above), float(joints.x[-1]))
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


def _ends(drawn: Float[Tensor, " boot"]) -> tuple[float, float]:
    low, high = torch.quantile(drawn, torch.tensor(TAILS, dtype=drawn.dtype)).tolist()
    return low, high
