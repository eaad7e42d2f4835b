"""Find the moods of the shipped model's world and measure their dose curves, and keep both.

python benchmarks/keep_concepts.py [MODEL FOLDER] [WORD ...]
"""

import sys
from pathlib import Path

import interp
from dashboards.page.measurements import FOLDER
from dashboards.steering.concept_sliders import concept_arguments
from dashboards.steering.dose_zones import curve_arguments


def main(folder: str = "trained_models/stories-demo", *words: str) -> None:
    """Print a line a concept."""
    path = Path(folder)
    model, world = interp.load_model(path.name), interp.load_world("stories")
    for word in words or world.concepts["mood"]:
        concept = interp.concept(model, **concept_arguments(model, word, world))
        curve = interp.steering(model, **curve_arguments(concept, concept.where_written, world, ()))
        concept.save(path / FOLDER / f"concept-{word}")
        curve.save(path / FOLDER / f"steering-{word}")
        print(curve, [(zone.kind, zone.low, zone.high) for zone in curve.zones()])


if __name__ == "__main__":
    main(*sys.argv[1:])
