"""`interp worlds`: the simulated worlds on offer."""

import click


@click.command()
@click.option("--sample", "name", metavar="WORLD", help="Print one document of this world.")
@click.option("--seed", default=0, show_default=True, help="Number of the document.")
@click.option("--level", default=None, help="Level of difficulty; the world's last by default.")
def command(name: str | None, seed: int, level: str | None) -> None:
    """List the simulated worlds, or print a document of one."""
    from interp.worlds import load_world, world_names

    if name is not None:
        world = load_world(name)
        click.echo(world.sample(seed, level=level or world.levels[-1]).text)
        return
    for each in world_names():
        click.echo(describe(load_world(each)))


def describe(world: object) -> str:
    """One line: a world's name, its levels and what is known to be true in it."""
    levels, variables = ", ".join(world.levels), ", ".join(world.variables)
    return f"{world.name:<20} levels: {levels}; truth: {variables}"
