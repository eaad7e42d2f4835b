"""Below each dose slider: which doses are weak, useful, or break the text."""

import streamlit as st

from interp.analyses.concept import Concept
from interp.analyses.steering import Steering
from interp.dashboards import asking, dose_curve, kept, session
from interp.dashboards.components.zones import zones
from interp.dashboards.shelf import Entry
from interp.edits import Where
from interp.protocols import LanguageModel
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
    wanted = dose_curve.asked(concept, where, world, words)
    if not wanted:
        st.caption("No zones: name words to count, in a model of a world's text.")
        return None
    found = kept.find(entry, "steering", model, **wanted)
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
    if not asking.asked_for(f"curve_{slug}", pressed, told):
        return None
    return session.measured("steering", model, **wanted)


def strip(found: Steering, name: str, slug: str) -> None:
    """Draw the zones of a curve below its slider."""
    ends = {"low": dose_curve.LOWEST, "high": dose_curve.HIGHEST}
    zones(found.zones(), **ends, name=name, key=f"zones_{slug}")
