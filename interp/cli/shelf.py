"""The models at hand: the shipped ones, and the runs of this folder."""

from pathlib import Path

SHIPPED = Path(__file__).resolve().parents[2] / "trained_models"
RUNS = Path("runs")


def model_folders(roots: tuple[Path, ...] = ()) -> list[Path]:
    """Every folder below `roots` that holds a model or a run, sorted by name.

    Args:
        roots: where to look, one level deep; by default the shipped models and `runs/` here.
    """
    found = {
        path.parent
        for root in roots or (SHIPPED, RUNS)
        for path in (*root.glob("config.json"), *root.glob("*/config.json"))
    }
    return sorted(found)
