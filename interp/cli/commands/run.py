"""`interp run INSTRUMENT`: every instrument, with options made from its signature."""

import inspect
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from interp.cli.model_folders import BOS_HELP, DEFAULT, YES_HELP, model_source
from interp.cli.targets import Target
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
    subject_bos: bool | None,
    save_to: Path | None,
    html: Path | None,
    csv: Path | None,
    any_cost: bool,
    **arguments: Any,
) -> None:
    from interp.cli.progress import measuring
    from interp.models.io.load import load_model

    instrument = get_instrument(name)
    model = load_model(
        model_source(subject), step=subject_step, device=subject_device, bos=subject_bos
    )
    if not instrument.accepts(model):
        raise ModelMismatchError(
            f"{name} needs a {instrument.takes.__name__}; {subject} is none. Name another --model."
        )
    typed = {key: value for key, value in arguments.items() if value is not None}
    with measuring(any_cost):
        result = instrument.function(model, **typed)
    write_outputs(result, str(result), save_to, html, csv)


def write_outputs(
    result: "Result",
    finding: str,
    folder: Path | None,
    html: Path | None,
    csv: Path | None,
    **options: Any,
) -> None:
    """Save the result where that was asked for; then print, draw and list it, and say where.

    When one of these fails, the result is kept in a new temporary folder, which the error names.

    Args:
        result: what was measured.
        finding: what to print of it.
        folder: gets the saved result.
        html: gets the figure.
        csv: gets the table.
        options: options of the figure.
    """
    from interp.core.files import write_bytes, write_text

    saved = None
    try:
        if folder is not None:
            saved = result.save(folder)
        click.echo(finding)
        if saved is not None:
            click.echo(f"saved  {saved}")
        if html is not None:
            write_text(html, result.figure(**options).to_html(include_plotlyjs=True))
            click.echo(f"drawn  {html}")
        if csv is not None:
            table = result.frame().to_csv(index=False, lineterminator="\n")
            write_bytes(csv, table.encode("utf-8", "backslashreplace"))
            click.echo(f"table  {csv}")
    except Exception as error:
        error.add_note(_kept(result, saved))
        raise


def _kept(result: "Result", saved: Path | None) -> str:
    """Where the result is, as a sentence; saved now if it was not."""
    try:
        place = saved or result.save(
            tempfile.mkdtemp(prefix=f"interp-{result.provenance.instrument}-")
        )
    except OSError as error:
        return f"The measurement could not be kept either ({error})."
    return f"The measurement is kept: interp report {place}"


def _common_options() -> list[click.Option]:
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
        click.Option(["--bos/--no-bos", "subject_bos"], default=None, help=BOS_HELP),
        click.Option(
            ["--out", "save_to"], type=Target("folder"), help="Save the result in this folder."
        ),
        click.Option(["--html"], type=Target("file"), help="Write the figure to this file."),
        click.Option(["--csv"], type=Target("file"), help="Write the table to this file."),
        click.Option(["--yes", "any_cost"], is_flag=True, help=YES_HELP),
    ]
