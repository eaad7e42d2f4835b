"""Below each dose slider: which doses are weak, useful, or break the text."""

from typing import Any

import streamlit as st

from dashboards.components import component
from dashboards.page import measurements, run_button
from interp.analyses.interventions.steering import Steering
from interp.analyses.probing.concept import Concept
from interp.core.edits import Where
from interp.core.protocols import LanguageModel
from interp.worlds.world import World

SIZE = {"n_prompts": 32, "n_random": 8, "n_random_prompts": 8}
LOWEST, HIGHEST = -1.0, 2.0
LEGEND = (
    "**Zones** of the dose curve. *weak*: the rate of the concept stays within that of random "
    "directions. *useful*, for steering: the rate is outside that band, and the text holds. "
    "*breaks*: fewer than 90 % as many sentences are well formed as without steering, perplexity "
    "is up by half (the loss by ln 1.5 nats per token), or a tenth more of the trigrams stood "
    "in the text before."
)


def dose_curve(model: LanguageModel, arguments: dict[str, Any], slug: str) -> Steering | None:
    """The dose curve of a concept where it is known or was requested; else a button for it."""
    if not arguments:
        st.caption("No zones: they need words to count, and a model of a simulated world.")
        return None
    if measurements.knows("steering", model, **arguments):
        return measurements.measured("steering", model, **arguments)
    pressed = st.button(
        "Measure the zones",
        key=f"measure_{slug}",
        icon=":material/straighten:",
        type="tertiary",
        help="Generates several hundred texts, which takes a few seconds.",
    )
    return run_button.on_request("steering", model, pressed, **arguments)


def zone_strip(curve: Steering, name: str, slug: str) -> None:
    """Draw the zones of a curve below its slider; `name` is for those who cannot see it."""
    width = HIGHEST - LOWEST
    parts = [
        {
            "kind": zone.kind,
            "start": (max(zone.low, LOWEST) - LOWEST) / width,
            "share": (min(zone.high, HIGHEST) - max(zone.low, LOWEST)) / width,
            "words": f"{zone.kind} from {zone.low:g} to {zone.high:g}",
        }
        for zone in curve.zones()
        if zone.low < HIGHEST and zone.high > LOWEST
    ]
    component("zones")(key=f"zones_{slug}", data={"name": name, "parts": parts})


def curve_arguments(
    concept: Concept, where: Where, world: World | None, words: tuple[str, ...]
) -> dict[str, Any]:
    """The arguments of `interp.steering` for the curve of a concept; empty where there is none."""
    if world is None or not (concept.among or words):
        return {}
    options = {} if concept.among else {"words": words}
    # Everywhere is the default, and left out: a record says of positions only that there are some.
    options |= {} if where == Where() else {"where": where}
    return {"concept": concept, "world": world, **options, **SIZE, "seed": 0}
