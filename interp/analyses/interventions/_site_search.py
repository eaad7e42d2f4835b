"""Where to steer: candidate sites and methods, tried on prompts of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from interp.analyses.interventions._dose_response import Bench, best_dose
from interp.analyses.probing.concept import Concept, concepts_at
from interp.core.edits import Where
from interp.core.errors import NotEnoughDataError
from interp.core.hooks import Name
from interp.core.protocols import LanguageModel
from interp.worlds.world import World

DOSES = (0.0, 0.25, 0.5, 1.0, 1.5)
READINGS = (("mean_difference", "asked"), ("mean_difference", "stated"), ("gradient", "asked"))


def candidates(
    model: LanguageModel, word: str, world: World, sites: Sequence[Name], **options: Any
) -> dict[str, Concept]:
    """The word's concept at every site, by each way of finding it that has examples enough.

    Raises:
        NotEnoughDataError: none has.
    """
    found: dict[str, Concept] = {}
    call = {"positive": word, "negative": None, "world": world, "n_stories": 400, **options}
    for method, at in READINGS:
        try:
            concepts = concepts_at(model, {**call, "method": method, "at": at}, sites)
        except NotEnoughDataError:
            continue
        for each in concepts:
            found[f"{method.replace('_', ' ')}, {at}, {each.site[0]} {each.site[1]}"] = each
    if not found:
        raise NotEnoughDataError(f"World {world.name!r} has too few facts about {word!r}.")
    return found


def screened(found: Mapping[str, Concept], bench: Bench) -> tuple[Concept, Where, dict[str, float]]:
    """The candidate and positions with the largest gain that leaves sentences whole.

    Returns:
        The concept, where to edit, and the gain of everything that was tried.
    """
    gains: dict[str, float] = {}
    trials: dict[str, tuple[Concept, Where]] = {}
    for name, each in found.items():
        trials[name] = (each, bench.where)
        if each.method == "gradient" and bench.where == Where():
            trials[f"{name}, where written"] = (each, each.where_written)
    for name, (each, where) in trials.items():
        vector = each.direction[None] * each.median_norm
        counts, _ = replace(bench, where=where).sweep(each.site, vector, DOSES)
        [best] = best_dose(counts, DOSES, bench.graded)
        rates = counts.ratio("hits", "mentions")[:, 0]
        gains[name] = float(rates[best] - rates[0]) if best >= 0 else 0.0
    return *trials[max(gains, key=gains.get)], gains
