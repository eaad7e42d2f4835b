"""`interp demo`: train, probe, steer and report, from nothing to a page."""

from pathlib import Path

import click

from interp.cli.targets import Target


@click.command()
@click.option(
    "--out",
    type=Target("folder"),
    default="demo-run",
    show_default=True,
    help="Folder for the model, the results and the report.",
)
@click.option(
    "--quick", is_flag=True, help="A few steps and small samples, to check that everything works."
)
@click.option(
    "--long", is_flag=True, help="Train as long as the shipped model was, about 15 minutes."
)
@click.option("--seed", default=0, show_default=True, help="Seed of the corpus and the weights.")
@click.option("--dashboard/--no-dashboard", default=True, help="Open the dashboard at the end.")
def command(out: Path, quick: bool, long: bool, seed: int, dashboard: bool) -> None:
    """Train a small model, probe it, steer it, write a report.

    Repeat the command to resume a demo that was stopped.
    """
    from interp.cli.progress import LineDisplay
    from interp.cli.resumable import resumable
    from interp.demo.findings import FULL, QUICK
    from interp.demo.job import run_demo
    from interp.demo.ledger import Ledger

    with resumable(f"What the demo made so far, in {out},"):
        size = QUICK if quick else FULL
        places = run_demo(out, size=size, seed=seed, long=long, display=LineDisplay())
    click.echo("\n".join(["", *Ledger(places.times).table(), ""]))
    click.echo(f"model    {places.run}\nresults  {places.results}\nreport   {places.report}")
    if dashboard:
        from interp.cli.commands.dashboard import serve

        serve(folders=(out,))
