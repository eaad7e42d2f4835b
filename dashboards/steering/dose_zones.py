"""Below each dose slider: which doses are weak, useful, or break the text."""

from typing import Any

import streamlit as st

from dashboards.components.zones import zones
from dashboards.page import measurements, run_button
from dashboards.page.model_list import Entry
from interp.analyses.interventions.steering import Steering
from interp.analyses.probing.concept import Concept
from interp.core.edits import Where
from interp.core.protocols import LanguageModel
from interp.worlds.world import World

LEGEND = (
    "**Zones**, from the concept's dose curve. *weak*: its rate stays within that of random "
    "directions. *useful*: it leaves it, and the text holds. *breaks*: fewer than 90 % of "
    "sentences are well formed, or the text's loss is up by half (ln 1.5 nats a token)."
)


def curve(
    model: LanguageModel,
    entry: Entry,
    concept: Concept,
    where: Where,
    world: World | None,
    words: tuple[str, ...],
    *,
    slug: str,
) -> Steering | None:
    """The concept's dose curve where it is kept, known or asked for; else a button for it."""
    wanted = asked(concept, where, world, words)
    if not wanted:
        st.caption("No zones: name words to count, in a model of a world's text.")
        return None
    found = measurements.saved("steering", model, **wanted)
    if found is not None:
        return found
    told = [model.hash, concept.name, concept.method, concept.site, repr(where), words]
    pressed = st.button(
        "Measure the zones",
        key=f"measure_{slug}",
        icon=":material/straighten:",
        type="tertiary",
        help="Writes several hundred texts, which takes some seconds.",
    )
    if not run_button.is_requested(f"curve_{slug}", pressed, told):
        return None
    return measurements.measured("steering", model, **wanted)


def strip(found: Steering, name: str, slug: str) -> None:
    """Draw the zones of a curve below its slider."""
    ends = {"low": LOWEST, "high": HIGHEST}
    zones(found.zones(), **ends, name=name, key=f"zones_{slug}")


SIZE = {"n_prompts": 16, "n_random": 8, "n_random_prompts": 8}
LOWEST, HIGHEST = -1.0, 2.0


def asked(
    concept: Concept, where: Where, world: World | None, words: tuple[str, ...]
) -> dict[str, Any]:
    """The arguments of `interp.steering` that measure a concept's curve; empty where none can."""
    if world is None or not (concept.among or words):
        return {}
    counted = {} if concept.among else {"words": words}
    return {"concept": concept, "world": world, "where": where, **counted, **SIZE, "seed": 0}
