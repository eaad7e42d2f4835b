"""Rank correlation within groups, resampled over stories and over what was compared, together."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.statistics.intervals import UNKNOWN, Interval

N_BOOT = 1000
MOST_PAIRS = 8_000_000
FEWEST_FOR_ENDS = 5
"""Three models in perfect order would seem certain: chance alone orders them so one time in six."""


def drawn(n: int, n_boot: int, seed: int) -> Float[Tensor, "draw unit"]:
    """How often each unit was drawn; row 0 is the data as they are."""
    generator = torch.Generator().manual_seed(seed)
    picked = torch.randint(0, n, (n_boot, n), generator=generator)
    counts = torch.zeros(n_boot, n, dtype=torch.float64)
    counts.scatter_add_(1, picked, torch.ones_like(picked, dtype=torch.float64))
    return torch.cat([torch.ones(1, n, dtype=torch.float64), counts])


def rank_agreement(
    x: Float[Tensor, "draw point"],
    y: Float[Tensor, "draw point"],
    strata: Sequence[int],
    units: Sequence[int],
    *,
    fewest: int = 3,
    seed: int = 0,
) -> Interval:
    """Spearman's correlation of x and y among points of the same stratum, and its interval.

    A rank is counted within the stratum, as a share of its size, so that what all of a stratum
    share (a run; a step) has no say. With one stratum it is Spearman's own.

    Args:
        x: values; row 0 as they are, then one row a resample of the stories.
        y: the same of the other quantity.
        strata: ranks are only taken among points of the same one.
        units: what is drawn anew for each row: each point by itself, or the model it is of.
        fewest: with fewer units nothing is told.
        seed: of the draws of units.
    """
    names = torch.tensor(list(dict.fromkeys(units)))
    of_unit = (torch.tensor(units)[:, None] == names).double().argmax(1)
    if len(names) < fewest:
        return UNKNOWN
    weights = drawn(len(names), len(x) - 1, seed)[:, of_unit]
    same = torch.tensor(strata)[:, None] == torch.tensor(strata)
    rows = max(1, MOST_PAIRS // same.numel())
    parts = zip(*(each.split(rows) for each in (x, y, weights)), strict=True)
    values = torch.cat([_correlation(*part, same) for part in parts])
    if len(names) < FEWEST_FOR_ENDS:
        return Interval(value=float(values[0]), low=float("nan"), high=float("nan"), n=len(names))
    kept = values[1:][~values[1:].isnan()]
    if not len(kept) or values[0].isnan():
        return Interval(value=float(values[0]), low=float("nan"), high=float("nan"), n=len(names))
    low, high = torch.quantile(kept, torch.tensor([0.025, 0.975], dtype=kept.dtype)).tolist()
    return Interval(value=float(values[0]), low=low, high=high, n=len(names))


def _correlation(x: Tensor, y: Tensor, weights: Tensor, same: Tensor) -> Float[Tensor, " draw"]:
    x, y = (_centred_ranks(each, weights, same) for each in (x, y))
    spread = ((weights * x * x).sum(1) * (weights * y * y).sum(1)).sqrt()
    return (weights * x * y).sum(1) / spread


def _centred_ranks(
    values: Float[Tensor, "draw point"], weights: Tensor, same: Int[Tensor, "point point"]
) -> Float[Tensor, "draw point"]:
    """How many of the stratum lie below, less how many above, as a share of the stratum."""
    signs = (values[:, :, None] - values[:, None]).sign() * same
    return torch.einsum("bij,bj->bi", signs, weights) / (weights @ same.double()).clamp_min(1e-12)
