"""`interp run INSTRUMENT`: every instrument, with options made from its signature."""

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from interp.cli.model_folders import DEFAULT, model_source
from interp.core.errors import ConfigError, ModelMismatchError
from interp.results.registry import get_instrument, instruments

if TYPE_CHECKING:
    from interp.results.result import Result


class Instruments(click.Group):
    """A command an instrument; its code is imported when it is used, not when it is listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The instruments' names."""
        return list(instruments())

    def get_command(self, ctx: click.Context, name: str) -> click.Command:
        """The command that runs the instrument of that name."""
        try:
            return instrument_command(get_instrument(name).name)
        except ConfigError as error:
            ctx.fail(str(error))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Names with the first lines of their files, read without importing them."""
        with formatter.section("Instruments"):
            formatter.write_dl([(name, each.summary) for name, each in instruments().items()])


@click.group(cls=Instruments, no_args_is_help=True, subcommand_metavar="INSTRUMENT [OPTIONS]")
def command() -> None:
    """Point an instrument at a model; print, save or draw what it finds."""


def instrument_command(name: str) -> click.Command:
    """A click command for an instrument: its own parameters, and where the result goes."""
    from interp.cli.parameters import options_of

    function = get_instrument(name).function
    first = next(iter(inspect.signature(function).parameters))
    return click.Command(
        name,
        callback=lambda **options: _run(name, **options),
        params=[*_common_options(), *options_of(function, skip=[first])],
        help=(inspect.getdoc(function) or "").splitlines()[0],
    )


def _run(
    name: str,
    subject: str,
    subject_step: int | None,
    subject_device: str,
    save_to: Path | None,
    html: Path | None,
    csv: Path | None,
    **arguments: Any,
) -> None:
    from interp.models.io.load import load_model

    instrument = get_instrument(name)
    model = load_model(model_source(subject), step=subject_step, device=subject_device)
    if not instrument.accepts(model):
        raise ModelMismatchError(
            f"{name} needs a {instrument.takes.__name__}; {subject} is none. Name another --model."
        )
    typed = {key: value for key, value in arguments.items() if value is not None}
    result = instrument.function(model, **typed)
    click.echo(str(result))
    write_outputs(result, save_to, html, csv)


def write_outputs(
    result: "Result", folder: Path | None, html: Path | None, csv: Path | None, **options: Any
) -> None:
    """Save, draw and list a result where that was asked for, and say where it went.

    Args:
        result: what was measured.
        folder: gets the saved result.
        html: gets the figure.
        csv: gets the table.
        options: options of the figure.
    """
    if folder is not None:
        click.echo(f"saved  {result.save(folder)}")
    if html is not None:
        result.figure(**options).write_html(html, include_plotlyjs=True)
        click.echo(f"drawn  {html}")
    if csv is not None:
        result.frame().to_csv(csv, index=False)
        click.echo(f"table  {csv}")


def _common_options() -> list[click.Option]:
    path = click.Path(path_type=Path)
    return [
        click.Option(
            ["--model", "subject"],
            default=DEFAULT,
            show_default=True,
            metavar="MODEL",
            help="Model folder, run folder, Hugging Face folder or name.",
        ),
        click.Option(["--step", "subject_step"], type=int, help="Checkpoint; the newest if left."),
        click.Option(["--device", "subject_device"], default="auto", show_default=True),
        click.Option(["--out", "save_to"], type=path, help="Save the result in this folder."),
        click.Option(["--html"], type=path, help="Write the figure to this file."),
        click.Option(["--csv"], type=path, help="Write the table to this file."),
    ]
