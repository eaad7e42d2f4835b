"""`interp sweep`: many small runs, so that the loss can be seen to fall with size and text."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from interp.cli.commands.train import read_settings
from interp.core.errors import ConfigError

if TYPE_CHECKING:
    from interp.training.data.corpus import Corpus
    from interp.training.loop.pretrain import ProgressCallback, RunProgress
    from interp.training.sweep import Finished, Point


class Numbers(click.ParamType):
    """Whole numbers with commas between: `8,16,32`."""

    name = "numbers"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Read them."""
        try:
            return tuple(int(part) for part in str(value).split(",") if part.strip())
        except ValueError:
            self.fail(f"Whole numbers with commas between were needed; {value!r} came.", param, ctx)


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Text file, JSONL file or folder.")
@click.option("--world", "world_name", help="A simulated world instead [default: stories].")
@click.option("--out", type=click.Path(path_type=Path), help="Folder; runs/NAME-sweep by default.")
@click.option("--sizes", type=Numbers(), default="12,20,32", show_default=True, help="Widths.")
@click.option("--steps", type=Numbers(), default="200,400,800", show_default=True, help="Updates.")
@click.option("--seeds", default=2, show_default=True, help="Runs of each size and length.")
@click.option("--preset", default="demo", show_default=True, help="Shape, but for its width.")
@click.option("--documents", default=8_000, show_default=True, help="Documents of a world.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any other setting.")
@click.option("--device", default="auto", show_default=True)
@click.option("--threads", type=int, help="CPU threads.")
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
    """Train every size with every number of steps and every seed; the same command goes on."""
    from interp.cli.resumable import resumable
    from interp.training.sweep import Grid, SweepRecipe, sweep

    if data is not None and world_name is not None:
        raise ConfigError("A sweep needs either --data FILE_OR_FOLDER or --world NAME, not both.")
    world_name = world_name or (None if data else "stories")
    grid = Grid(sizes=sizes, steps=steps, seeds=seeds)
    recipe = SweepRecipe(preset=preset, settings=read_settings(settings))
    out = out or Path("runs") / f"{world_name or data.stem}-sweep"
    corpus = _corpus(out, data, world_name, documents)
    click.echo("parameters      tokens    loss  regret  run")
    with resumable(f"The sweep in {out}"):
        found = sweep(
            grid, corpus, out, recipe=recipe, device=device, threads=threads,
            progress=_told, done=lambda finished: click.echo(row(finished)),
        )  # fmt: skip
    click.echo(f"swept  {out}  {len(found)} runs")
    click.echo(f"next   interp run scaling_law --model MODEL --runs {out}")


def row(finished: "Finished") -> str:
    """A line of the table."""
    regret = "" if finished.floor is None else f"{finished.loss - finished.floor:.4f}"
    return (
        f"{finished.parameters:10,}  {finished.tokens:10,}  {finished.loss:6.4f}  {regret:>6}  "
        f"{finished.point.name}"
    )


def _corpus(out: Path, data: Path | None, world_name: str | None, documents: int) -> "Corpus":
    """The sweep's text, told once: of a world, the hardest level alone."""
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


def _told(point: "Point") -> "ProgressCallback":
    """Say on a terminal how far the run is; a file is left without it."""
    err = click.get_text_stream("stderr")

    def report(progress: "RunProgress") -> None:
        if err.isatty():
            told = f"\r{point.name}  {progress.step}/{progress.steps}"
            err.write(f"{told}  {progress.loss_nats_per_token:.3f}\033[K\r")

    return report
