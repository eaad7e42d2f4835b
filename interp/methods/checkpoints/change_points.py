"""When a curve changed: flat, then a straight rise or fall over log step, then flat again.

The two change points are the onset and the end of the change; halfway between them is when it
happened.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.errors import NotEnoughDataError

FEWEST = 5
GRID = 41
N_WEIGHTS = 4
"""What a fit chooses: two levels and two change points."""
N_CHANCE = 2000
"""Flat curves of noise; with their mirror images the smallest p is 1 / 4,001."""


@dataclass(frozen=True, kw_only=True)
class PiecewiseFit:
    """The best piecewise-linear fit to each of several curves over the same steps.

    Attributes:
        onset: where the change begins, in log(1 + step).
        end: where the change is over, in log(1 + step).
        before: the level before the change.
        after: the level after the change.
        error: sum of the fit's squared residuals.
        flat_error: sum of the squared residuals about the mean, with no change at all.
    """

    onset: Float[Tensor, " boot"]
    end: Float[Tensor, " boot"]
    before: Float[Tensor, " boot"]
    after: Float[Tensor, " boot"]
    error: Float[Tensor, " boot"]
    flat_error: Float[Tensor, " boot"]

    @property
    def middle(self) -> Float[Tensor, " boot"]:
        """Halfway, in log(1 + step)."""
        return (self.onset + self.end) / 2

    @property
    def width(self) -> Float[Tensor, " boot"]:
        """How long it took, in log(1 + step): 1 = the steps grew about 2.7-fold meanwhile."""
        return self.end - self.onset

    @property
    def explained(self) -> Float[Tensor, " boot"]:
        """Share of the curve's variation that the fit explains; 0 of a constant."""
        share = 1 - self.error / self.flat_error.clamp_min(1e-30)
        return torch.where(self.flat_error > 1e-24, share, 0.0)


class ChangePoints:
    """Every pair of change points on a grid, ready to be fitted to curves over these steps.

    Args:
        steps: the checkpoints' training steps, five or more, rising.
    Raises:
        NotEnoughDataError: under five steps: a change cannot be told from its neighbours.
    """

    def __init__(self, steps: tuple[int, ...]) -> None:
        if len(steps) < FEWEST:
            raise NotEnoughDataError(
                f"A change point needs {FEWEST} checkpoints or more; got {len(steps)}. Open a run "
                "that kept more, or name more steps."
            )
        self.x = torch.log1p(torch.tensor(steps, dtype=torch.float64))

    @cached_property
    def pairs(self) -> Float[Tensor, "pair 2"]:
        """Onset and end: on an even grid and at the checkpoints themselves."""
        even = torch.linspace(float(self.x[0]), float(self.x[-1]), GRID, dtype=torch.float64)
        places = torch.cat([even, self.x]).unique()
        low, high = torch.triu_indices(len(places), len(places), 1)
        return torch.stack([places[low], places[high]], 1)

    @cached_property
    def ramps(self) -> Float[Tensor, "pair step"]:
        """0 before the onset, 1 after the end, straight between."""
        onset, end = self.pairs[:, :1], self.pairs[:, 1:]
        return ((self.x - onset) / (end - onset)).clamp(0, 1)

    def fit(self, curves: Float[Tensor, "boot step"]) -> PiecewiseFit:
        """The least-squares fit: for given change points the two levels are a linear regression.

        Source:
            Hudson 1966, "Fitting segmented curves whose join points have to be estimated"; the
            change points are searched on a grid, as Lerman 1980 does.
        """
        # For one pair of change points the fit is before + rise * ramp: regression on one variable.
        # With both sides centred, rise = <curve, ramp> / <ramp, ramp>, and the squared error falls
        # by <curve, ramp>^2 / <ramp, ramp> from that of the mean. The best pair is the one with the
        # largest fall: one product of matrices tries all pairs on all curves.
        ramps = self.ramps - self.ramps.mean(1, keepdim=True)
        mean = curves.mean(1, keepdim=True)
        centred = curves - mean
        spread = (ramps**2).sum(1)
        product = centred @ ramps.T
        # A ramp between two neighbouring steps is flat at all steps: then nothing is fitted.
        gain = torch.where(spread > 1e-12, product**2 / spread.clamp_min(1e-12), -1.0)
        best = gain.argmax(1)
        rows = torch.arange(len(curves))
        rise = product[rows, best] / spread[best]
        before = mean[:, 0] - rise * self.ramps.mean(1)[best]
        flat = (centred**2).sum(1)
        # A jump between two checkpoints fits equally well all over the gap: take its middle.
        equal = (gain >= gain[rows, best, None] - 1e-9 * flat[:, None]).double()
        middle = equal @ self.pairs / equal.sum(1, keepdim=True)
        return PiecewiseFit(
            onset=middle[:, 0],
            end=middle[:, 1],
            before=before,
            after=before + rise,
            error=(flat - gain[rows, best]).clamp_min(0),
            flat_error=flat,
        )

    @cached_property
    def chance(self) -> Float[Tensor, " draw"]:
        """Share of the variation that the best fit explains of flat curves of normal noise.

        The share has no unit, so it does not depend on how strong the noise is: for given steps its
        distribution is known exactly, with all the searching of change points in it.
        """
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(N_CHANCE, len(self.x), generator=generator, dtype=torch.float64)
        return torch.cat([self.fit(part).explained for part in noise.split(250)])

    def p_by_chance(self, explained: float) -> float:
        """P of 'flat, with independent noise a checkpoint', against a change for the better.

        Args:
            explained: share of the curve's variation that the fit of a change for the better
                explains.
        Source:
            Andrews 1993, "Tests for parameter instability and structural change with unknown change
            point" (the best change point's statistic has a law of its own; here simulated).
        """
        # Each draw and its mirror image are equally likely, and one of the two is for the better.
        return (1 + int((self.chance >= explained).sum())) / (1 + 2 * N_CHANCE)

    def fitted(self, change: PiecewiseFit) -> Float[Tensor, "boot step"]:
        """The fits' own values at the checkpoints."""
        ramp = ((self.x - change.onset[:, None]) / change.width[:, None]).clamp(0, 1)
        return change.before[:, None] + ramp * (change.after - change.before)[:, None]

    def neighbours(self, middle: float) -> tuple[float, float]:
        """The checkpoints on either side, in log(1 + step): no fit can know it better."""
        below = self.x[self.x <= middle + 1e-9]
        above = self.x[self.x >= middle - 1e-9]
        low = float(below[-1]) if len(below) else float(self.x[0])
        high = float(above[0]) if len(above) else float(self.x[-1])
        if low == high:  # on a checkpoint: it changed between the neighbours
            i = int((self.x - middle).abs().argmin())
            low = float(self.x[max(i - 1, 0)])
            high = float(self.x[min(i + 1, len(self.x) - 1)])
        return low, high


def resampled_curves(
    values: Float[Tensor, " step"],
    fitted: Float[Tensor, " step"],
    resampled: Float[Tensor, "boot step"] | None,
    n_boot: int,
    seed: int,
) -> Float[Tensor, "boot step"]:
    """Curves as they might have come: stories resampled, and the fit's residuals resampled.

    Residuals carry what stories do not: checkpoints that lie off any such curve.

    Args:
        values: the curve.
        fitted: the fit's values on the same steps.
        resampled: the curve of each resample of stories; None where no story moves it.
        n_boot: how many resamples.
        seed: the seed of the residuals.
    Source:
        Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 9 (residuals).
    """
    generator = torch.Generator().manual_seed(seed)
    # A fit that chooses 4 numbers follows the noise of n checkpoints too: what it leaves is shorter
    # than the noise by sqrt((n - 4) / n), with 7 checkpoints by a third.
    n = len(values)
    residuals = (values - fitted) * math.sqrt(n / (n - N_WEIGHTS))
    chosen = torch.randint(0, len(values), (n_boot, len(values)), generator=generator)
    noise = residuals[chosen]
    shift = torch.zeros(n_boot, len(values), dtype=torch.float64)
    if resampled is not None:
        shift = (resampled - values).nan_to_num()
    # Two sources of error, added: which stories were read, and how this run strays from the fit.
    return fitted + shift + noise
