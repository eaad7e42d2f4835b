"""Where to steer: candidate sites and methods, tried on prompts of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from interp.analyses.interventions._dose_response import DoseExperiment, best_doses
from interp.analyses.probing.concept import Concept, concepts_at
from interp.core.edits import Where
from interp.core.errors import NotEnoughDataError
from interp.core.hooks import Name
from interp.core.protocols import LanguageModel
from interp.worlds.world import World

DOSES = (0.0, 0.25, 0.5, 1.0, 1.5)
WAYS = (("mean_difference", "asked"), ("mean_difference", "stated"), ("gradient", "asked"))


def candidate_concepts(
    model: LanguageModel, word: str, world: World, sites: Sequence[Name], **options: Any
) -> dict[str, Concept]:
    """The word's concept at every site, by each way of finding it that has examples enough.

    Raises:
        NotEnoughDataError: none has.
    """
    candidates: dict[str, Concept] = {}
    call = {"positive": word, "negative": None, "world": world, "n_stories": 400, **options}
    for method, at in WAYS:
        try:
            concepts = concepts_at(model, {**call, "method": method, "at": at}, sites)
        except NotEnoughDataError:
            continue
        for concept in concepts:
            short, layer = concept.site
            candidates[f"{method.replace('_', ' ')}, {at}, {short} {layer}"] = concept
    if not candidates:
        raise NotEnoughDataError(
            f"Steering to {word!r} needs 8 facts or more about it and as many about its kin; world "
            f"{world.name!r} has fewer in 400 stories. Choose another word."
        )
    return candidates


def search_sites(
    candidates: Mapping[str, Concept], experiment: DoseExperiment
) -> tuple[Concept, Where, dict[str, float]]:
    """The candidate and positions with the largest gain that leaves sentences whole.

    Returns:
        The concept, where to edit, and the gain of everything that was tried.
    """
    gains: dict[str, float] = {}
    trials: dict[str, tuple[Concept, Where]] = {}
    for name, concept in candidates.items():
        trials[name] = (concept, experiment.where)
        if concept.method == "gradient" and experiment.where == Where():
            trials[f"{name}, where written"] = (concept, concept.where_written)
    for name, (concept, where) in trials.items():
        vector = concept.direction[None] * concept.median_norm
        ratios, _ = replace(experiment, where=where).measure(concept.site, vector, DOSES)
        [best] = best_doses(ratios, DOSES, experiment.graded)
        rates = ratios["rate"].value[:, 0]
        gains[name] = float(rates[best] - rates[0]) if best >= 0 else 0.0
    return *trials[max(gains, key=gains.get)], gains
