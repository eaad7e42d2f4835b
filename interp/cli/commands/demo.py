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
@click.option("--seed", default=0, show_default=True, help="Seed of the corpus and the weights.")
@click.option("--dashboard/--no-dashboard", default=True, help="Open the dashboard at the end.")
def command(out: Path, quick: bool, seed: int, dashboard: bool) -> None:
    """Train a small model, probe it, steer it, write a report.

    Repeat the command to resume a demo that was stopped.
    """
    from interp.cli.progress import LineDisplay
    from interp.cli.resumable import resumable
    from interp.demo.findings import FULL, QUICK
    from interp.demo.job import run_demo
    from interp.demo.ledger import Ledger

    with resumable(f"What the demo made so far, in {out},"):
        places = run_demo(out, size=QUICK if quick else FULL, seed=seed, display=LineDisplay())
    click.echo("\n".join(["", *Ledger(places.times).table(), ""]))
    click.echo(f"model    {places.run}\nresults  {places.results}\nreport   {places.report}")
    if dashboard:
        from interp.cli.commands.dashboard import serve

        serve(folders=(out,))
