"""`interp report`: one page, PDF, notebook or ZIP from saved results."""

from pathlib import Path

import click

from interp.cli.targets import Target
from interp.core.errors import NotEnoughDataError


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--title", default="Report", show_default=True, help="Title of the report.")
@click.option(
    "--out",
    type=Target("file"),
    default="report.html",
    show_default=True,
    help="File to write.",
)
def command(folders: tuple[Path, ...], title: str, out: Path) -> None:
    """Put saved results into one report.

    All results in FOLDERS are taken, at any depth.

    The suffix of --out decides the format: .html (one page), .pdf, .ipynb (a notebook that
    reproduces the figures) or .zip (all of these, with images, tables and results).
    """
    from interp.report import Report
    from interp.report.chromium import find_chromium, no_chromium
    from interp.results.result import load_result

    report = Report(title)
    for folder in result_folders(folders):
        report.add(load_result(folder))
    report.save(out)
    if out.suffix.lower() == ".zip" and find_chromium() is None:
        click.echo(f"The ZIP has no images. {no_chromium('A picture')}")
    click.echo(f"report  {out}")


def result_folders(roots: tuple[Path, ...]) -> list[Path]:
    """The folders that hold a result, in the order of the roots, sorted inside each.

    Raises:
        NotEnoughDataError: there is none.
    """
    folders = [path.parent for root in roots for path in sorted(root.glob("**/result.json"))]
    if not folders:
        names = ", ".join(map(str, roots))
        raise NotEnoughDataError(
            f"A report needs saved results; got none below {names}. Save one with: "
            "interp run INSTRUMENT ... --out FOLDER"
        )
    return list(dict.fromkeys(folders))
