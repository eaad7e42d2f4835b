"""A law of losses: what is left at any size, and a power of each thing that was varied.

log L = log(E + A / N^alpha + B / D^beta), fitted in log space by robust least squares; with one
thing varied, one power only. Its intervals resample the residuals, since runs are few, and are as
much wider as Student's quantile is than the normal one (docs/calibration.md has what they cover).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
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
LEVEL = 0.95
CLOSE = 1e-6
"""Where a fit has arrived: far below what a resample moves it by."""
NAMES = (("A", "alpha"), ("B", "beta"))

Points = Float[np.ndarray, "run thing"]


@dataclass(frozen=True, kw_only=True)
class Law:
    """A fitted law.

    Attributes:
        varied: columns of the data that the law has a power of: 0 parameters, 1 tokens.
        values: the constants `E` (nats a token), `A`, `alpha`, and so on.
        weights: the numbers that are fitted, of the fit and of each resample: log E, then log of a
            term at the middle of the data and log of its exponent, for each varied thing.
        middle: the mean logarithm of each varied thing, from which the terms are counted.
        miss: root mean square of what the law misses the runs by, as a share of their loss.
        noise: root mean square of what runs of equal size and text differ from their mean by, as a
            share of their loss: what seeds alone do; nan where every run is the only one of its
            kind.
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
    given = f"{n} runs of {levels[0]} sizes and {levels[1]} amounts of text"
    if not varied:
        return f"A law needs runs that differ in size or text; got {given}."
    needed = LEVELS_ALONE if len(varied) == 1 else LEVELS_TOGETHER
    if min(varied) < needed or n < 2 * len(varied) + 3:
        return (
            f"A law needs {needed} or more of each thing that is varied and "
            f"{2 * len(varied) + 3} runs or more; got {given}. Sweep a larger grid."
        )
    return ""


def fit_law(
    points: Points,
    loss: Float[np.ndarray, " run"],
    *,
    n_boot: int = 200,
    seed: int = 0,
) -> Law:
    """Fit E, and A and alpha (B and beta) for each thing that the runs differ in.

    Args:
        points: parameters and tokens of each run.
        loss: held-out loss of each run, nats a token.
        n_boot: how many resamples of the residuals.
        seed: the seed of the resamples.
    Source:
        Hoffmann et al. 2022, "Training Compute-Optimal Large Language Models", approach 3.
    """
    varied = tuple(i for i in range(points.shape[1]) if len(set(points[:, i].tolist())) > 1)
    logs = np.log(points[:, varied])
    middle = logs.mean(0)
    x, y = logs - middle, np.log(loss)
    fits = (_solve(x, y, start) for start in _starts(loss, len(varied)))
    best = min(fits, key=attrgetter("cost"))
    fitted = predicted(best.x[None], x)[0]
    # A fit with p weights leaves residuals that are too short by sqrt((n - p) / n), and nothing
    # makes a robust fit's mean residual 0: both are undone before the residuals are resampled.
    spread = np.sqrt(len(y) / (len(y) - len(best.x)))
    residuals = (y - fitted - (y - fitted).mean()) * spread
    rng = np.random.default_rng(seed)
    resamples = (fitted + rng.choice(residuals, len(y)) for _ in range(n_boot))
    weights = _bounded(np.stack([best.x, *(_solve(x, again, best.x).x for again in resamples)]))
    # Resamples know the noise as well as these few runs do. Student's quantile over the normal one
    # is what it costs not to know it: with 12 runs and 5 weights the intervals grow by a fifth.
    weights[1:] = weights[0] + (weights[1:] - weights[0]) * _students(len(y) - len(best.x))
    return Law(
        varied=varied,
        values=_named(weights, varied, middle, len(y)),
        weights=weights,
        middle=middle,
        # A difference of logarithms is, while small, a share: log(1 + s) = s.
        miss=float(np.sqrt(np.mean((y - fitted) ** 2))),
        noise=_noise(points, y),
    )


def predicted(
    weights: Float[np.ndarray, "resample weight"], x: Float[np.ndarray, "point varied"]
) -> Float[np.ndarray, "resample point"]:
    """Log loss at the points (log of size and text, less the middle) by each resample."""
    from scipy.special import logsumexp

    return logsumexp(_terms(weights, x), axis=-1)


def _terms(weights: np.ndarray, x: np.ndarray) -> Float[np.ndarray, "resample point term"]:
    """Logarithms of the terms: log E, and log(A / N^alpha) = height - alpha * (log N - middle).

    E, A and alpha are above 0 by being exponentials. Counted from the middle of the data, height
    and exponent hardly trade off; log A, which is where log N = 0, would move with every alpha.
    """
    height, steepness = weights[:, 1::2], np.exp(np.minimum(weights[:, 2::2], np.log(STEEPEST)))
    powers = height[:, None] - steepness[:, None] * x[None]
    level = np.broadcast_to(weights[:, :1, None], (len(weights), len(x), 1))
    return np.concatenate([level, powers], -1)


def _solve(x: np.ndarray, y: np.ndarray, start: np.ndarray) -> "OptimizeResult":
    from scipy.optimize import least_squares

    def misses(weights: np.ndarray) -> np.ndarray:
        return predicted(weights[None], x)[0] - y

    def slopes(weights: np.ndarray) -> np.ndarray:
        # The derivative of logsumexp by a term is the term's share of the sum (its softmax); the
        # chain rule gives d term / d log alpha = -alpha * x, and 0 where alpha is held at STEEPEST.
        terms = _terms(weights[None], x)[0]
        shares = np.exp(terms - terms.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        jacobian = np.empty((len(x), len(weights)))
        jacobian[:, 0], jacobian[:, 1::2] = shares[:, 0], shares[:, 1:]
        steepness = np.exp(weights[2::2])
        jacobian[:, 2::2] = -shares[:, 1:] * x * np.where(steepness < STEEPEST, steepness, 0.0)
        return jacobian

    enough = {"ftol": CLOSE, "xtol": CLOSE, "gtol": CLOSE, "max_nfev": 100}
    return least_squares(misses, start, slopes, loss="huber", f_scale=HUBER, **enough)


def _noise(points: Points, y: np.ndarray) -> float:
    """What runs that differ in their seed only differ by, each from the mean of its kind.

    The pooled standard deviation: each kind's mean costs one degree of freedom.
    """
    squares, freedom = 0.0, 0
    for place in set(map(tuple, points.tolist())):
        alike = y[(points == place).all(1)]
        squares += float(((alike - alike.mean()) ** 2).sum())
        freedom += len(alike) - 1
    return float(np.sqrt(squares / freedom)) if freedom else float("nan")


def _starts(loss: np.ndarray, n: int) -> list[np.ndarray]:
    """Several, since the valley is long: E from little to nearly all of the least loss."""
    starts = []
    for share, steepness in itertools.product((0.2, 0.6, 0.95), (0.2, 0.6, 1.2)):
        floor = share * loss.min()
        # What is left of a middling loss is split among the terms.
        height = np.log(max(np.median(loss) - floor, 1e-6) / n)
        starts.append(np.array([np.log(floor), *[height, np.log(steepness)] * n]))
    return starts


def _bounded(weights: np.ndarray) -> np.ndarray:
    """With exponents of at most STEEPEST: beyond it the law is the same."""
    weights[:, 2::2] = np.minimum(weights[:, 2::2], np.log(STEEPEST))
    return weights


def _students(freedom: int) -> float:
    from scipy.special import ndtri, stdtrit

    tail = (1 + LEVEL) / 2
    return float(stdtrit(freedom, tail) / ndtri(tail))


def _named(
    weights: np.ndarray, varied: Sequence[int], middle: np.ndarray, n: int
) -> dict[str, Interval]:
    """The law's own constants, from the weights about the middle of the data."""
    # exp(height - alpha * (log N - middle)) = exp(height + alpha * middle) / N^alpha.
    constants = {"E": np.exp(weights[:, 0])}
    for place, column in enumerate(varied):
        factor, exponent = NAMES[column]
        steepness = np.exp(np.minimum(weights[:, 2 + 2 * place], np.log(STEEPEST)))
        constants[factor] = np.exp(weights[:, 1 + 2 * place] + steepness * middle[place])
        constants[exponent] = steepness
    return {name: _interval(values, n) for name, values in constants.items()}


def _interval(values: Float[np.ndarray, " resample"], n: int) -> Interval:
    # Resamples are few because each is a fit. The k-th of B lies at k / (B + 1) in the mean; to
    # take it for k / B, as interpolation does, loses 2 % of coverage with 100.
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = np.quantile(values[1:], tails, method="weibull").tolist()
    return Interval(value=float(values[0]), low=low, high=high, n=n, level=LEVEL)
