"""Colours of numbers for components: each step with ink that can be read on it, by light and dark.

The browser only looks a step up; that every pair can be read is tested where it is made.
"""

import base64
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from torch import Tensor

from interp.plots.theme import DIVERGING

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Scale = Literal["sequential", "diverging", "grid"]
STEPS = 64
UNKNOWN = 255
BLACK, WHITE = "#000000", "#ffffff"
VIRIDIS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58",
           "#b5de2b", "#fde725"]  # fmt: skip
STOPS: dict[str, dict[str, list[str]]] = {
    "sequential": {
        "light": ["#f7fbff", "#c6dbef", "#9ecae1", "#4292c6", "#08519c", "#08306b"],
        "dark": ["#171e27", "#12385c", "#08519c", "#4292c6", "#9ecae1", "#deebf7"],
    },
    "diverging": {
        "light": DIVERGING,
        "dark": ["#a9d4ec", "#4a9bcb", "#27587d", "#1c232c", "#7d4428", "#dd7f55", "#fcc7a5"],
    },
    "grid": {"light": VIRIDIS, "dark": VIRIDIS},
}
"""`sequential` and `diverging` begin at the page; `grid` covers it. All are colour-blind safe."""


@cache
def ramp(scale: Scale) -> dict[str, list[list[str]]]:
    """For `light` and `dark` the steps of a scale from low to high, each a paper and its ink."""
    return {
        name: [[paper, ink_on(paper)] for paper in _steps(s)] for name, s in STOPS[scale].items()
    }


def quantised(values: "Tensor | ArrayLike", low: float, high: float) -> str:
    """Each value's step, one byte a value in base64; 255 where there is no number.

    Example:
        >>> list(base64.b64decode(quantised([0.0, 0.5, 2.0, float("nan")], 0.0, 1.0)))
        [0, 32, 63, 255]
    """
    numbers = np.asarray(values, dtype=np.float64).ravel()
    shares = (numbers - low) / ((high - low) or 1.0)
    steps = np.full(numbers.shape, UNKNOWN, dtype=np.uint8)
    is_number = ~np.isnan(shares)
    steps[is_number] = np.round(np.clip(shares[is_number], 0, 1) * (STEPS - 1)).astype(np.uint8)
    return base64.b64encode(steps.tobytes()).decode()


def limits(
    values: "Tensor | ArrayLike", scale: Scale, low: float | None, high: float | None
) -> tuple[float, float]:
    """Where a scale begins and ends: what is given, else what is there; signed ones about 0."""
    numbers = np.asarray(values, dtype=np.float64)
    finite = numbers[np.isfinite(numbers)]
    if scale == "diverging":
        bounds = [abs(end) for end in (low, high) if end is not None]
        bound = max(bounds, default=float(np.abs(finite).max(initial=0.0))) or 1.0
        return -bound, bound
    low = float(finite.min(initial=0.0)) if low is None else low
    return low, max(float(finite.max(initial=low)) if high is None else high, low)


def legend(scale: Scale, low: float, high: float, unit: str) -> dict[str, Any]:
    """What a component needs to draw the colours and to say what they mean."""
    return {"ramp": ramp(scale), "low": f"{low:.3g}", "high": f"{high:.3g}", "unit": unit}


def ink_on(paper: str) -> str:
    """Black or white, whichever can be read better on a colour."""
    return max((BLACK, WHITE), key=lambda ink: contrast(ink, paper))


def contrast(one: str, other: str) -> float:
    """The contrast of two colours as WCAG 2 has it: 1 (none) to 21."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    shares = np.array(_rgb(colour)) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _steps(stops: list[str]) -> list[str]:
    places = np.linspace(0, len(stops) - 1, STEPS)
    channels = np.array([_rgb(stop) for stop in stops]).T
    mixed = np.stack([np.interp(places, range(len(stops)), channel) for channel in channels], -1)
    return ["#{:02x}{:02x}{:02x}".format(*row) for row in mixed.round().astype(int)]


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[start : start + 2], 16) for start in (1, 3, 5))
