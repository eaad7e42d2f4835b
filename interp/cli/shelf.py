"""The models at hand: the shipped ones, and the runs of this folder."""

from pathlib import Path

SHIPPED = Path(__file__).resolve().parents[2] / "trained_models"
RUNS = Path("runs")
DEFAULT = "stories-demo"


def model_folders(roots: tuple[Path, ...] = ()) -> list[Path]:
    """Every folder below `roots` that holds a model or a run, sorted.

    Args:
        roots: where to look, one level deep; by default the shipped models and `runs/` here.
    """
    found = {
        path.parent
        for root in roots or (SHIPPED, RUNS)
        for path in (*root.glob("config.json"), *root.glob("*/config.json"))
    }
    return sorted(found)


def find_model(name: str | Path) -> str:
    """What `load_model` takes: a path as it stands, a shipped model or a run by its bare name.

    Example:
        >>> find_model("gpt2")
        'gpt2'
    """
    places = [Path(name), RUNS / name, SHIPPED / name]
    return str(next((place for place in places if place.exists()), name))
