"""`interp worlds`: the simulated worlds, and documents of one."""

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from interp.worlds.world import World


@click.command()
@click.option("--sample", "name", metavar="WORLD", help="Print documents of this world instead.")
@click.option(
    "--count",
    default=1,
    show_default=True,
    help="Number of documents; more than one are printed as JSON lines.",
)
@click.option("--seed", default=0, show_default=True, help="Number of the first document.")
@click.option("--level", default=None, help="Level of difficulty; the hardest by default.")
@click.option(
    "--split",
    default="held_out",
    show_default=True,
    help="Split: train, held_out or another one of the world.",
)
def command(name: str | None, count: int, seed: int, level: str | None, split: str) -> None:
    """List the simulated worlds, or print documents of one."""
    from interp.worlds import load_world, world_names

    if name is None:
        for world_name in world_names():
            click.echo(describe(load_world(world_name)))
        return
    world = load_world(name)
    texts = [
        world.sample(number, level=level or world.levels[-1], split=split).text
        for number in range(seed, seed + count)
    ]
    for text in texts:
        click.echo(text if count == 1 else json.dumps({"text": text}, ensure_ascii=False))


def describe(world: "World") -> str:
    """One line: a world's name, its levels and what is known to be true in it."""
    levels, variables = ", ".join(world.levels), ", ".join(world.variables)
    return f"{world.name:<20} levels: {levels}; truth: {variables}"
