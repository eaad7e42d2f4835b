"""Where the command line looks for models: the shipped ones, and the runs of this folder."""

from pathlib import Path

RUNS = Path("runs")
DEFAULT = "stories-demo"
BOS_HELP = "Begin texts with the beginning-of-text token or not. [default: as its files say]"
YES_HELP = "Go on, whatever it costs in time and memory."


def model_folders(roots: tuple[Path, ...] = ()) -> list[Path]:
    """Every folder at or just below `roots` that holds a model or a run, sorted.

    Args:
        roots: where to look; by default the shipped models and `runs/` here.
    """
    from interp.models.io.load import SHIPPED  # Imports torch, which `--help` must not wait for.

    folders = [folder for root in roots or (*SHIPPED, RUNS) for folder in (root, *root.glob("*"))]
    return sorted({folder for folder in folders if (folder / "run.json").is_file()})


def model_source(name: str | Path) -> str:
    """What `load_model` takes: a run of this folder by its bare name, else the name as it stands.

    Example:
        >>> model_source("gpt2")
        'gpt2'
    """
    run = RUNS / name
    return str(name if Path(name).exists() or not run.exists() else run)
