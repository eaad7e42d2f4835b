"""The table of calibration: its entries, and how often each of them claims something.

A verdict is a function with the decorator `verdict`: given whether something is planted and a seed,
it says whether the instrument claims something. For an interval, which is never planted, it says
whether the interval misses the truth.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from interp.core.statistics.intervals import Interval, clopper_pearson
from interp.results.provenance import Provenance

Claim = Callable[[bool, int], bool]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A claim of an instrument in one planted situation.

    Attributes:
        instrument: whose it is.
        claim: in words.
        situation: what nothing looks like, and what is planted.
        claims: whether it is claimed, given whether something is planted, and a seed.
        n: how many situations of either kind.
        promised: the share of false alarms that the instrument promises at most.
        is_planted: whether there is a situation in which the claim is right.
        is_kept: whether the promise is kept; a situation in which it is not is told too.
    """

    instrument: str
    claim: str
    situation: str
    claims: Claim
    n: int
    promised: float
    is_planted: bool
    is_kept: bool


VERDICTS: list[Verdict] = []


def verdict(
    instrument: str,
    claim: str,
    n: int,
    *,
    promised: float = 0.05,
    is_planted: bool = True,
    is_kept: bool = True,
    **situations: tuple,
) -> Callable[[Callable], Callable]:
    """Adds a function to the table, once for each situation (its words, then arguments)."""

    def added(function: Callable) -> Callable:
        for words, *arguments in situations.values():
            entry = Verdict(
                instrument=instrument, claim=claim, situation=words, n=n, promised=promised,
                claims=partial(function, *arguments), is_planted=is_planted,
                is_kept=is_kept,
            )  # fmt: skip
            VERDICTS.append(entry)
        return function

    return added


def generator_of(planted: bool, seed: int) -> torch.Generator:
    """Draws of their own for each situation."""
    return torch.Generator().manual_seed(2 * seed + planted)


def planted_provenance(instrument: str) -> Provenance:
    """Of a result that is made up."""
    return Provenance(instrument=instrument, model="planted", model_hash="")


def rates(entry: Verdict, share: float = 1.0) -> tuple[Interval, Interval | None]:
    """Shares of claims where nothing and where something is planted, with exact intervals.

    Args:
        entry: of `VERDICTS`.
        share: of its situations that are made.
    """
    n = max(2, round(share * entry.n))
    false, right = (
        clopper_pearson(sum(entry.claims(planted, seed) for seed in range(n)), n)
        if entry.is_planted or not planted
        else None
        for planted in (False, True)
    )
    return false, right


def row(entry: Verdict, share: float) -> str:
    """One line of the table."""
    false, right = rates(entry, share)
    cells = [
        f"{entry.instrument}: {entry.claim}",
        entry.situation,
        f"{entry.promised:.1%}{'' if entry.is_kept else ', not kept'}",
        f"{false.value:.1%} [{false.low:.1%}, {false.high:.1%}]",
        f"{right.value:.0%}" if right else "",
        str(false.n),
    ]
    return f"| {' | '.join(cells)} |"
