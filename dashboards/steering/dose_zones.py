"""Below each dose slider: which doses are weak, useful, or break the text."""

from typing import Any

import streamlit as st

from dashboards.components import zones
from dashboards.page import measurements, run_button
from dashboards.page.model_list import Entry
from interp.analyses.interventions.steering import Steering
from interp.analyses.probing.concept import Concept
from interp.core.edits import Where
from interp.core.protocols import LanguageModel
from interp.worlds.world import World

SIZE = {"n_prompts": 16, "n_random": 8, "n_random_prompts": 8}
LOWEST, HIGHEST = -1.0, 2.0
LEGEND = (
    "**Zones** of the dose curve. *weak*: the rate of the concept stays within that of random "
    "directions. *useful*: the rate is outside that band, and the text stays well formed. "
    "*breaks*: fewer than 90 % of the sentences are well formed, or perplexity is up by half "
    "(the loss by ln 1.5 nats per token)."
)


def dose_curve(
    model: LanguageModel,
    entry: Entry,
    concept: Concept,
    where: Where,
    world: World | None,
    words: tuple[str, ...],
    *,
    slug: str,
) -> Steering | None:
    """The dose curve of the concept where it is saved or was requested; else a button for it."""
    arguments = curve_arguments(concept, where, world, words)
    if not arguments:
        st.caption("No zones: they need words to count, and a model of a simulated world.")
        return None
    saved = measurements.saved("steering", model, **arguments)
    if saved is not None:
        return saved
    settings = [model.hash, concept.name, concept.method, concept.site, repr(where), words]
    pressed = st.button(
        "Measure the zones",
        key=f"measure_{slug}",
        icon=":material/straighten:",
        type="tertiary",
        help="Generates several hundred texts, which takes a few seconds.",
    )
    if not run_button.is_requested(f"curve_{slug}", pressed, settings):
        return None
    return measurements.measured("steering", model, **arguments)


def zone_strip(curve: Steering, name: str, slug: str) -> None:
    """Draw the zones of a curve below its slider."""
    ends = {"low": LOWEST, "high": HIGHEST}
    zones.draw(curve.zones(), **ends, name=name, key=f"zones_{slug}")


def curve_arguments(
    concept: Concept, where: Where, world: World | None, words: tuple[str, ...]
) -> dict[str, Any]:
    """The arguments of `interp.steering` for the curve of a concept; empty where there is none."""
    if world is None or not (concept.among or words):
        return {}
    counted = {} if concept.among else {"words": words}
    return {"concept": concept, "world": world, "where": where, **counted, **SIZE, "seed": 0}
