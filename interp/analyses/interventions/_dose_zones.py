"""A dose curve cut into stretches: weak, useful for steering, and where the text breaks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from interp.analyses.interventions._dose_response import HEALTH, ROUNDING, broken
from interp.core.statistics.intervals import Interval


@dataclass(frozen=True, kw_only=True)
class Zone:
    """A stretch of doses at which a concept does the same kind of thing.

    Attributes:
        kind: `weak` = its rate stays within the random directions' band; `useful` = useful for
            steering: the rate leaves the band (upwards for doses above 0, downwards below) and the
            text holds; `breaks` = fewer than 90 % as many sentences are well formed as without
            steering, or the text is less than 2/3 as probable a token under the unedited model
            (loss up by ln 1.5), or a tenth more of its trigrams stood before.
        low: the lowest dose.
        high: the highest dose.
    """

    kind: Literal["weak", "useful", "breaks"]
    low: float
    high: float


def dose_zones(
    doses: Sequence[float],
    measures: Mapping[str, Sequence[Interval]],
    band: tuple[Float[Tensor, " dose"], Float[Tensor, " dose"]],
) -> tuple[Zone, ...]:
    """The doses from lowest to highest in stretches; each ends half-way between measured doses.

    Args:
        doses: ascending, 0 among them.
        measures: by name, an interval a dose: the rate and those of `HEALTH`.
        band: of the random directions' rates, lowest and highest.
    """
    values = {name: torch.tensor([each.value for each in measures[name]]) for name in HEALTH}
    breaks = broken(values, doses.index(0.0)).tolist()
    kinds = [
        "breaks" if breaks[i] else _kind(dose, measures["rate"][i].value, float(low), float(high))
        for i, (dose, low, high) in enumerate(zip(doses, *band, strict=True))
    ]
    ends = [(a + b) / 2 for a, b in pairwise(doses)]
    zones: list[Zone] = []
    for kind, low, high in zip(kinds, [doses[0], *ends], [*ends, doses[-1]], strict=True):
        if zones and zones[-1].kind == kind:
            low = zones.pop().low
        zones.append(Zone(kind=kind, low=low, high=high))
    return tuple(zones)


def _kind(dose: float, rate: float, low: float, high: float) -> Literal["weak", "useful"]:
    gained = rate > high + ROUNDING if dose > 0 else rate < low - ROUNDING
    return "useful" if gained and dose != 0 else "weak"
