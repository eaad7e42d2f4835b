"""Results of the demo on disk: made once for a model, read again when the demo is repeated."""

from pathlib import Path

from interp.core.errors import CheckpointError
from interp.results.result import Result, load_result


def kept_result(folder: Path, model_hash: str) -> Result | None:
    """The result in `folder`, if it is whole and of this very model."""
    try:
        found = load_result(folder)
    except CheckpointError:
        return None
    return found if found.provenance.model_hash == model_hash else None
