"""The dose curve of a concept: how it is asked for, kept with a model or measured when asked."""

from typing import Any

from interp.analyses.concept import Concept
from interp.edits import Where
from interp.worlds.world import World

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
