"""A strip below a slider that says what its values do: weak, useful, breaks."""

from collections.abc import Sequence

from dashboards.components import component
from interp.analyses.interventions.steering import Zone


def draw(zones: Sequence[Zone], *, low: float, high: float, name: str, key: str) -> None:
    """Draw the zones under a slider of the same range.

    Args:
        zones: from low to high doses.
        low: the slider's lowest value.
        high: the slider's highest value.
        name: of what the slider moves, for those who cannot see it.
        key: unique on the page.
    """
    width = high - low
    parts = [
        {
            "kind": zone.kind,
            "start": (max(zone.low, low) - low) / width,
            "share": (min(zone.high, high) - max(zone.low, low)) / width,
            "words": f"{zone.kind} from {zone.low:g} to {zone.high:g}",
        }
        for zone in zones
        if zone.low < high and zone.high > low
    ]
    component("zones")(key=key, data={"name": name, "parts": parts})
