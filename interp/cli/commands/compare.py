"""`interp compare RUN RUN …`: runs side by side, level by level, seeds as thin lines."""

from pathlib import Path

import click

from interp.cli.commands.run import write_outputs
from interp.cli.model_folders import YES_HELP
from interp.cli.targets import Target
from interp.core.errors import ConfigError


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN ...")
@click.option(
    "--label", "labels", multiple=True, help="Group of each run, in the order of the runs."
)
@click.option(
    "--baseline", default="", help="Group to compare with; that of the first run by default."
)
@click.option(
    "--world", "world_name", help="World; by default the one that the runs were trained on."
)
@click.option("--level", "levels", multiple=True, help="Levels, easiest first; all by default.")
@click.option(
    "--stories", type=int, default=60, show_default=True, help="Held-out stories per level."
)
@click.option(
    "--checkpoints", type=int, default=12, show_default=True, help="Maximum number of checkpoints."
)
@click.option(
    "--threshold",
    type=float,
    default=0.9,
    show_default=True,
    help="Share of right answers that counts as learned.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the stories.")
@click.option(
    "--view",
    type=click.Choice(["loss", "answers", "mixture", "end"]),
    default="loss",
    help="Figure to draw.",
)
@click.option("--out", type=Target("folder"), help="Save the result to this folder.")
@click.option("--html", type=Target("file"), help="Write the figure to this file.")
@click.option("--csv", type=Target("file"), help="Write the table to this file.")
@click.option("--yes", "any_cost", is_flag=True, help=YES_HELP)
def command(
    runs: tuple[str, ...],
    labels: tuple[str, ...],
    baseline: str,
    world_name: str | None,
    levels: tuple[str, ...],
    stories: int,
    checkpoints: int,
    threshold: float,
    seed: int,
    view: str,
    out: Path | None,
    html: Path | None,
    csv: Path | None,
    any_cost: bool,
) -> None:
    """Compare runs at equal tokens: loss, answers, forgetting.

    Runs whose names differ only in a number at the end are seeds of one group.
    """
    from interp.analyses.learning.curriculum import curriculum
    from interp.cli.model_folders import model_source
    from interp.cli.progress import measuring
    from interp.models.io.load import load_model
    from interp.worlds import load_world

    _refuse_twice(runs)
    models = [load_model(model_source(run)) for run in runs]
    world = load_world(world_name or _world_of(Path(model_source(runs[0]))))
    with measuring(any_cost):
        result = curriculum(
            models[0],
            models[1:],
            world=world,
            labels=labels,
            baseline=baseline,
            levels=levels,
            n_stories=stories,
            checkpoints=checkpoints,
            threshold=threshold,
            seed=seed,
        )
    write_outputs(result, result.caption(), out, html, csv, view=view)


def _refuse_twice(runs: tuple[str, ...]) -> None:
    """Refuse one folder under two names: it would count as two seeds that agree.

    Raises:
        ConfigError: a run is given twice.
    """
    from interp.cli.model_folders import model_source

    seen: dict[Path, str] = {}
    for run in runs:
        place = Path(model_source(run)).resolve()
        if place in seen:
            raise ConfigError(
                f"A comparison needs each run once; {run} is {seen[place]} again. Leave one out."
            )
        seen[place] = run


def _world_of(run: Path) -> str:
    """The world that generated the text of a run.

    Raises:
        ConfigError: its record names none.
    """
    from interp.core.files import read_object
    from interp.models.io.load import find_model

    record = (find_model(run) or run) / "run.json"
    run_record = read_object(record) if record.exists() else {}
    source = (run_record.get("corpus") or {}).get("source") or {}
    if "world" not in source:
        raise ConfigError(
            f"A comparison needs the world of the runs; the record of {run} names none. Give "
            "--world."
        )
    return source["world"]
