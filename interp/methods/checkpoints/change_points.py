"""When a curve changed: flat, then a straight rise or fall over log step, then flat again.

The two joints are the onset and the end of the change; halfway between them is when it happened.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.errors import NotEnoughDataError

FEWEST = 5
GRID = 41


@dataclass(frozen=True, kw_only=True)
class Change:
    """The best fit to each of several curves over the same steps.

    Attributes:
        onset: where it begins, in log(1 + step).
        end: where it is over.
        before: level before.
        after: level after.
        error: squared residuals, summed.
        flat_error: the same about the mean, with no change at all.
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


class Joints:
    """Every pair of joints on a grid, ready to be fitted to curves over these steps.

    Args:
        steps: of the checkpoints, five or more, rising.
    Raises:
        NotEnoughDataError: fewer: a change cannot be told from its neighbours.
    """

    def __init__(self, steps: tuple[int, ...]) -> None:
        if len(steps) < FEWEST:
            raise NotEnoughDataError(
                f"A change point needs {FEWEST} checkpoints or more; {len(steps)} came. Open a "
                "run that kept more, or name more steps."
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

    def fit(self, curves: Float[Tensor, "boot step"]) -> Change:
        """The least-squares fit: for given joints the two levels are a straight-line regression.

        Source:
            Hudson 1966, "Fitting segmented curves whose join points have to be estimated"; the
            joints are searched on a grid, as Lerman 1980 does.
        """
        ramps = self.ramps - self.ramps.mean(1, keepdim=True)
        mean = curves.mean(1, keepdim=True)
        centred = curves - mean
        spread = (ramps**2).sum(1)
        product = centred @ ramps.T
        gain = torch.where(spread > 1e-12, product**2 / spread.clamp_min(1e-12), -1.0)
        best = gain.argmax(1)
        rows = torch.arange(len(curves))
        rise = product[rows, best] / spread[best]
        before = mean[:, 0] - rise * self.ramps.mean(1)[best]
        flat = (centred**2).sum(1)
        # A jump between two checkpoints fits equally well all over the gap: take its middle.
        equal = (gain >= gain[rows, best, None] - 1e-9 * flat[:, None]).double()
        joints = equal @ self.pairs / equal.sum(1, keepdim=True)
        return Change(
            onset=joints[:, 0],
            end=joints[:, 1],
            before=before,
            after=before + rise,
            error=(flat - gain[rows, best]).clamp_min(0),
            flat_error=flat,
        )

    def fitted(self, change: Change) -> Float[Tensor, "boot step"]:
        """The fits' own values at the checkpoints."""
        ramp = ((self.x - change.onset[:, None]) / change.width[:, None]).clamp(0, 1)
        return change.before[:, None] + ramp * (change.after - change.before)[:, None]

    def around(self, middle: float) -> tuple[float, float]:
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


def drawn_curves(
    values: Float[Tensor, " step"],
    fitted: Float[Tensor, " step"],
    resampled: Float[Tensor, "boot step"] | None,
    n_boot: int,
    seed: int,
) -> Float[Tensor, "boot step"]:
    """Curves as they might have come: stories drawn anew, and the fit's residuals drawn anew.

    Residuals carry what stories do not: checkpoints that lie off any such curve.

    Args:
        values: the curve.
        fitted: its fit.
        resampled: the curve of each draw of stories; None where no story moves it.
        n_boot: draws.
        seed: of the residuals.
    Source:
        Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 9 (residuals).
    """
    generator = torch.Generator().manual_seed(seed)
    residuals = values - fitted
    chosen = torch.randint(0, len(values), (n_boot, len(values)), generator=generator)
    noise = residuals[chosen]
    moved = torch.zeros(n_boot, len(values), dtype=torch.float64)
    if resampled is not None:
        moved = (resampled - values).nan_to_num()
    return fitted + moved + noise
