"""A law of losses: what is left at any size, and a power of each thing that was varied.

log L = log(E + A / N^alpha + B / D^beta), fitted in log space by robust least squares; with one
thing varied, one power only. Its intervals resample the residuals, since runs are few.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

from interp.core.statistics.intervals import Interval

HUBER = 1e-2
"""Where a residual of log L stops counting as its square: about what two seeds differ by. The
paper's 1e-3 is for runs of millions of steps."""
LEVELS_ALONE, LEVELS_TOGETHER = 4, 3
STEEPEST = 5.0
CLOSE = 1e-6
"""Where a fit has arrived: far below what a resample moves it by."""
NAMES = (("A", "alpha"), ("B", "beta"))

Points = Float[np.ndarray, "run thing"]


@dataclass(frozen=True, kw_only=True)
class Law:
    """A fitted law.

    Attributes:
        varied: columns of the data that it has a power of: 0 parameters, 1 tokens.
        values: `E` (nats a token), `A`, `alpha`, and so on.
        weights: of the fit and of each resample: log E, then log of a term at the middle of the
            data and log of its exponent, for each varied thing.
        middle: of the data, where the terms are counted from.
        miss: root mean square of what it misses the runs by, as a share of their loss.
        noise: the same for runs of equal size and text about their mean: what seeds alone do; nan
            where every run is the only one of its kind.
    """

    varied: tuple[int, ...]
    values: dict[str, Interval]
    weights: Float[np.ndarray, "resample weight"]
    middle: Float[np.ndarray, " varied"]
    miss: float
    noise: float


def why_not(points: Points) -> str:
    """Why these runs are too few for a law; empty when they are not."""
    n, levels = len(points), [len(set(column)) for column in points.T.tolist()]
    varied = [count for count in levels if count > 1]
    told = f"{n} runs of {levels[0]} sizes and {levels[1]} amounts of text"
    if not varied:
        return f"A law needs runs that differ in size or text; {told} came."
    needed = LEVELS_ALONE if len(varied) == 1 else LEVELS_TOGETHER
    if min(varied) < needed or n < 2 * len(varied) + 3:
        return (
            f"A law needs {needed} or more of each thing that is varied and "
            f"{2 * len(varied) + 3} runs or more; {told} came. Sweep a larger grid."
        )
    return ""


def fit_law(
    points: Points,
    loss: Float[np.ndarray, " run"],
    *,
    n_boot: int = 200,
    seed: int = 0,
    level: float = 0.95,
) -> Law:
    """Fit E, and A and alpha (B and beta) for each thing that the runs differ in.

    Args:
        points: parameters and tokens of each run.
        loss: held-out, nats a token.
        n_boot: resamples of the residuals.
        seed: of the resamples.
        level: of the intervals.
    Source:
        Hoffmann et al. 2022, "Training Compute-Optimal Large Language Models", approach 3.
    """
    varied = tuple(i for i in range(points.shape[1]) if len(set(points[:, i].tolist())) > 1)
    logs = np.log(points[:, varied])
    middle = logs.mean(0)
    x, y = logs - middle, np.log(loss)
    best = min((_solve(x, y, start) for start in _starts(loss, len(varied))), key=_cost)
    told = predicted(best.x[None], x)[0]
    spread = np.sqrt(len(y) / (len(y) - len(best.x)))
    rest = (y - told - (y - told).mean()) * spread
    rng = np.random.default_rng(seed)
    again = (told + rng.choice(rest, len(y)) for _ in range(n_boot))
    drawn = [_solve(x, resampled, best.x).x for resampled in again]
    weights = np.stack([best.x, *drawn])
    return Law(
        varied=varied,
        values=_named(weights, varied, middle, len(y), level),
        weights=weights,
        middle=middle,
        miss=float(np.sqrt(np.mean((y - told) ** 2))),
        noise=_noise(points, y),
    )


def predicted(
    weights: Float[np.ndarray, "resample weight"], x: Float[np.ndarray, "point varied"]
) -> Float[np.ndarray, "resample point"]:
    """Log loss at the points (log of size and text, less the middle) by each resample."""
    from scipy.special import logsumexp

    return logsumexp(_terms(weights, x), axis=-1)


def _terms(weights: np.ndarray, x: np.ndarray) -> Float[np.ndarray, "resample point term"]:
    height, steepness = weights[:, 1::2], np.exp(np.minimum(weights[:, 2::2], np.log(STEEPEST)))
    powers = height[:, None] - steepness[:, None] * x[None]
    level = np.broadcast_to(weights[:, :1, None], (len(weights), len(x), 1))
    return np.concatenate([level, powers], -1)


def _solve(x: np.ndarray, y: np.ndarray, start: np.ndarray) -> "OptimizeResult":
    from scipy.optimize import least_squares

    def misses(weights: np.ndarray) -> np.ndarray:
        return predicted(weights[None], x)[0] - y

    def slopes(weights: np.ndarray) -> np.ndarray:
        terms = _terms(weights[None], x)[0]
        shares = np.exp(terms - terms.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        found = np.empty((len(x), len(weights)))
        found[:, 0], found[:, 1::2] = shares[:, 0], shares[:, 1:]
        steepness = np.exp(weights[2::2])
        found[:, 2::2] = -shares[:, 1:] * x * np.where(steepness < STEEPEST, steepness, 0.0)
        return found

    enough = {"ftol": CLOSE, "xtol": CLOSE, "gtol": CLOSE, "max_nfev": 100}
    return least_squares(misses, start, slopes, loss="huber", f_scale=HUBER, **enough)


def _cost(solution: "OptimizeResult") -> float:
    return float(solution.cost)


def _noise(points: Points, y: np.ndarray) -> float:
    """What runs that differ in their seed only differ by, each from the mean of its kind."""
    squares, freedom = 0.0, 0
    for place in set(map(tuple, points.tolist())):
        alike = y[(points == place).all(1)]
        squares += float(((alike - alike.mean()) ** 2).sum())
        freedom += len(alike) - 1
    return float(np.sqrt(squares / freedom)) if freedom else float("nan")


def _starts(loss: np.ndarray, n: int) -> list[np.ndarray]:
    """Several, since the valley is long: E from little to nearly all of the least loss."""
    table = itertools.product((0.2, 0.6, 0.95), (0.2, 0.6, 1.2))
    return [_start(loss, n, share, steepness) for share, steepness in table]


def _start(loss: np.ndarray, n: int, share: float, steepness: float) -> np.ndarray:
    left = share * loss.min()
    height = np.log(max(np.median(loss) - left, 1e-6) / n)
    return np.array([np.log(left), *[height, np.log(steepness)] * n])


def _named(
    weights: np.ndarray, varied: Sequence[int], middle: np.ndarray, n: int, level: float
) -> dict[str, Interval]:
    """The law's own constants, from the weights about the middle of the data."""
    found = {"E": np.exp(weights[:, 0])}
    for place, column in enumerate(varied):
        factor, exponent = NAMES[column]
        steepness = np.exp(np.minimum(weights[:, 2 + 2 * place], np.log(STEEPEST)))
        found[factor] = np.exp(weights[:, 1 + 2 * place] + steepness * middle[place])
        found[exponent] = steepness
    ends = ((1 - level) / 2, (1 + level) / 2)
    intervals = {}
    for name, values in found.items():
        low, high = np.quantile(values[1:], ends)
        intervals[name] = Interval(
            value=float(values[0]), low=float(low), high=float(high), n=n, level=level
        )
    return intervals
