"""The packed corpus of a training run: written once, opened again when the command is repeated."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from filelock import FileLock

from interp.core.errors import ConfigError
from interp.core.files import read_object, write_json
from interp.runs.record import changed_values

if TYPE_CHECKING:
    from interp.training.data.corpus import Corpus


def corpus_of_run(
    run: Path, options: Mapping[str, Any], write: "Callable[[Path], Corpus]"
) -> "Corpus":
    """The corpus in `run/corpus`; written now when it is not there yet. Its remarks are printed.

    Under torchrun the first rank that comes writes it, and the others wait.

    Args:
        run: the run's folder.
        options: that decide the corpus, as JSON; kept in `run/corpus-asked.json`.
        write: makes the corpus in the folder it is given.
    Raises:
        ConfigError: the corpus of the run has other options; every difference is named.
    """
    corpus = _corpus_of_run(run, options, write)
    for remark in corpus.remarks if os.environ.get("RANK", "0") == "0" else ():
        click.echo(f"Warning: {remark}", err=True)
    return corpus


def _corpus_of_run(
    run: Path, options: Mapping[str, Any], write: "Callable[[Path], Corpus]"
) -> "Corpus":
    from interp.training.data.corpus import Corpus

    run.mkdir(parents=True, exist_ok=True)
    folder, record = run / "corpus", run / "corpus-asked.json"
    with FileLock(run / "corpus.lock"):
        if not (folder / "corpus.json").exists():
            corpus = write(folder)
            write_json(record, dict(options))
            return corpus
        before = read_object(record) if record.exists() else {}
    if changed := changed_values(before, options):
        raise ConfigError(
            f"A run needs the corpus that it started with; in {run} {'; '.join(changed)}. Use the "
            "old values, or train into another folder with --out."
        )
    return Corpus.open(folder)
