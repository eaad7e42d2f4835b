"""`interp compare RUN RUN …`: runs side by side, level by level, seeds as thin lines."""

from pathlib import Path

import click


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN ...")
@click.option("--label", "labels", multiple=True, help="Group of each run, in their order.")
@click.option("--baseline", default="", help="The group to compare with; the first run's.")
@click.option("--world", "world_name", help="The world; by default the one they learned from.")
@click.option("--level", "levels", multiple=True, help="Levels, easiest first; all by default.")
@click.option("--stories", type=int, default=60, show_default=True, help="Held out, each level.")
@click.option("--checkpoints", type=int, default=12, show_default=True, help="At most so many.")
@click.option("--threshold", type=float, default=0.9, show_default=True, help="What is learned.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the stories.")
@click.option("--view", type=click.Choice(["loss", "answers", "mixture", "end"]), default="loss")
@click.option("--out", type=click.Path(path_type=Path), help="Save the result in this folder.")
@click.option("--html", type=click.Path(path_type=Path), help="Write the figure to this file.")
@click.option("--csv", type=click.Path(path_type=Path), help="Write the table to this file.")
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
) -> None:
    """Compare runs at equal tokens: loss by level, answers, tokens to learn, forgetting.

    Runs whose names differ only in a number at the end are seeds of one group.
    """
    from interp.analyses.learning.curriculum import curriculum
    from interp.cli.model_folders import model_source
    from interp.models.io.load import load_model
    from interp.worlds import load_world

    models = [load_model(model_source(run)) for run in runs]
    world = load_world(world_name or _world_of(Path(model_source(runs[0]))))
    found = curriculum(
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
    click.echo(found.caption())
    if out is not None:
        click.echo(f"saved  {found.save(out)}")
    if html is not None:
        found.figure(view=view).write_html(html, include_plotlyjs=True)
        click.echo(f"drawn  {html}")
    if csv is not None:
        found.frame().to_csv(csv, index=False)
        click.echo(f"table  {csv}")


def _world_of(run: Path) -> str:
    """The world that a run's text was told by.

    Raises:
        ConfigError: its record names none.
    """
    from interp.core.errors import ConfigError
    from interp.core.files import read_object
    from interp.models.io.load import find_model

    record = (find_model(run) or run) / "run.json"
    told = read_object(record) if record.exists() else {}
    source = (told.get("corpus") or {}).get("source") or {}
    if "world" not in source:
        raise ConfigError(f"Which world's levels? The record of {run} names none: give --world.")
    return source["world"]
