"""The models at hand: the shipped ones, and the runs of this folder."""

from pathlib import Path

SHIPPED = Path(__file__).resolve().parents[2] / "trained_models"
RUNS = Path("runs")
DEFAULT = "stories-demo"


def model_folders(roots: tuple[Path, ...] = ()) -> list[Path]:
    """Every folder at or just below `roots` that holds a model or a run, sorted.

    Args:
        roots: where to look; by default the shipped models and `runs/` here.
    """
    places = [place for root in roots or (SHIPPED, RUNS) for place in (root, *root.glob("*"))]
    return sorted({place for place in places if (place / "run.json").is_file()})


def find_model(name: str | Path) -> str:
    """What `load_model` takes: a run of this folder by its bare name, else the name as it stands.

    Example:
        >>> find_model("gpt2")
        'gpt2'
    """
    run = RUNS / name
    return str(name if Path(name).exists() or not run.exists() else run)
