"""Measure the shipped model's checkpoints and keep what its pages over training show first.

python benchmarks/keep_learning.py [MODEL FOLDER]
"""

import sys
from pathlib import Path

import interp
from dashboards.page.measurements import FOLDER
from dashboards.views.learning.checkpoint_metrics import QUICK
from interp.methods.measures import measure_names


def main(folder: str = "trained_models/stories-demo") -> None:
    """Print both findings."""
    path = Path(folder)
    model, world = interp.load_model(path.name), interp.load_world("stories")
    first = tuple(name for name in measure_names() if name in QUICK)
    for name, result in (
        ("watch", interp.checkpoint_metrics(model, world, measures=first)),
        ("emergence", interp.emergence(model, world)),
    ):
        result.save(path / FOLDER / name)
        print(result)


if __name__ == "__main__":
    main(*sys.argv[1:])
