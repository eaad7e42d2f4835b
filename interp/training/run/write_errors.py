"""A failed write of a run, as an error that says how to go on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from interp.core.errors import TrainingError


@contextmanager
def naming_refusals(what: str, folder: Path) -> Iterator[None]:
    """Turn a failed write inside the block into an error that says how to go on.

    Args:
        what: is written: `state after step 20`.
        folder: of the run.
    Raises:
        TrainingError: the disk is full or refuses.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"The {what} could not be written ({error}); what was whole before still is. See that "
            f"{folder} has space and may be written, and start the same command again: it resumes."
        ) from error
