"""`interp sweep`: many small runs that show how the loss falls with size and data."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from interp.cli.commands.train import (
    device_option,
    read_settings,
    settings_option,
    threads_option,
)
from interp.cli.targets import Target, refuse_target
from interp.core.errors import ConfigError

if TYPE_CHECKING:
    from interp.training.data.corpus import Corpus
    from interp.training.loop.pretrain import ProgressCallback, RunProgress
    from interp.training.sweep import Finished, Point


class Numbers(click.ParamType):
    """Whole numbers separated by commas: `8,16,32`."""

    name = "numbers"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Read them."""
        try:
            return tuple(int(part) for part in str(value).split(",") if part.strip())
        except ValueError:
            self.fail(
                f"Needs whole numbers separated by commas, such as 8,16,32; got {value!r}.",
                param,
                ctx,
            )


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Text file, JSONL file or folder.")
@click.option("--world", "world_name", help="Simulated world to use instead [default: stories].")
@click.option(
    "--out",
    type=Target("folder"),
    help="Folder of the sweep; runs/NAME-sweep by default.",
)
@click.option(
    "--sizes", type=Numbers(), default="12,20,32", show_default=True, help="Widths (d_model)."
)
@click.option(
    "--steps", type=Numbers(), default="200,400,800", show_default=True, help="Training steps."
)
@click.option("--seeds", default=2, show_default=True, help="Runs per size and number of steps.")
@click.option(
    "--preset", default="demo", show_default=True, help="Model shape, apart from its width."
)
@click.option(
    "--documents", default=8_000, show_default=True, help="Documents to generate from a world."
)
@settings_option
@device_option
@threads_option
def command(
    data: Path | None,
    world_name: str | None,
    out: Path | None,
    sizes: tuple[int, ...],
    steps: tuple[int, ...],
    seeds: int,
    preset: str,
    documents: int,
    settings: tuple[str, ...],
    device: str,
    threads: int | None,
) -> None:
    """Train many small runs, to fit a scaling law.

    Every size is trained with every number of steps and seed. Repeat the command to resume.
    """
    from interp.cli.resumable import resumable
    from interp.training.sweep import Grid, SweepRecipe, check_sweepable, sweep

    if data is not None and world_name is not None:
        raise ConfigError(
            "A sweep needs either --data or --world; got both. Leave one of them out."
        )
    world_name = world_name or (None if data else "stories")
    grid = Grid(sizes=sizes, steps=steps, seeds=seeds)
    recipe = SweepRecipe(preset=preset, settings=read_settings(settings))
    out = out or Path("runs") / f"{world_name or data.stem}-sweep"
    refuse_target(out, "folder", "--out")
    check_sweepable(out)
    corpus = _corpus(out, data, world_name, documents)
    click.echo("parameters      tokens    loss  regret  run")
    with resumable(f"The sweep in {out}"):
        results = sweep(
            grid, corpus, out, recipe=recipe, device=device, threads=threads,
            progress=_reporter, done=lambda finished: click.echo(row(finished)),
        )  # fmt: skip
    click.echo(f"swept  {out}  {len(results)} runs")
    click.echo(f"next   interp run scaling_law --model MODEL --runs {out}")


def row(finished: "Finished") -> str:
    """A line of the table."""
    regret = "" if finished.floor is None else f"{finished.loss - finished.floor:.4f}"
    return (
        f"{finished.parameters:10,}  {finished.tokens:10,}  {finished.loss:6.4f}  {regret:>6}  "
        f"{finished.point.name}"
    )


def _corpus(out: Path, data: Path | None, world_name: str | None, documents: int) -> "Corpus":
    """The text of the sweep, written once; of a world, its hardest level only."""
    from interp.cli.run_corpus import corpus_of_run
    from interp.training.data.sources import write_world_corpus
    from interp.training.recipe.text_source import text_source
    from interp.worlds import load_world

    if data is not None:
        source = text_source(data, None, None)
        return corpus_of_run(out, source.asked, source.write)
    world = load_world(world_name)
    return corpus_of_run(
        out,
        {"world": world_name, "documents": documents},
        lambda folder: write_world_corpus(
            world, folder, n_documents=documents, n_held_out=400, levels=world.levels[-1:]
        ),
    )


def _reporter(point: "Point") -> "ProgressCallback":
    """Report the progress of a run on a terminal; nothing goes to a file."""
    err = click.get_text_stream("stderr")

    def report(progress: "RunProgress") -> None:
        if err.isatty():
            label = f"\r{point.name}  {progress.step}/{progress.steps}"
            err.write(f"{label}  {progress.loss_nats_per_token:.3f}\033[K\r")

    return report
