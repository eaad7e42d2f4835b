"""Models on huggingface.co: asked for by `hf:NAME`, or taken from what was fetched before."""

import logging
import re
from pathlib import Path

from interp.core.errors import CheckpointError, first_line

log = logging.getLogger(__name__)

PREFIX = "hf:"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_FILES = ("*.json", "*.safetensors", "*.model", "*.txt")
"""Settings, weights and tokenizers. Pickles are never opened, so they are not fetched either."""


def is_name(name: str) -> bool:
    """Whether a model on the hub can be called so."""
    return _NAME.fullmatch(name) is not None


def fetched(name: str) -> Path | None:
    """The folder of a model that was fetched before, by its bare name; the network is not asked."""
    if not is_name(name):
        return None
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(name, allow_patterns=list(_FILES), local_files_only=True)
    except (OSError, ValueError):  # Nothing by that name is on this machine.
        return None
    # Another program may have fetched the settings or the tokenizer alone.
    is_whole = (Path(folder) / "config.json").exists() and any(Path(folder).glob("*.safetensors"))
    return Path(folder) if is_whole else None


def fetch(name: str) -> Path:
    """The folder of a model on the hub, fetched if it is not here; takes as long as that takes.

    Args:
        name: `openai-community/gpt2`, without a prefix.

    Raises:
        CheckpointError: the hub has no such model for you, or cannot be reached.
    """
    if not is_name(name):
        raise CheckpointError(
            f"The name of a model on huggingface.co is OWNER/NAME; {name!r} is none. Check it."
        )
    from huggingface_hub import snapshot_download

    log.warning("Asking huggingface.co for %s", name)
    try:
        return Path(snapshot_download(name, allow_patterns=list(_FILES)))
    except Exception as error:  # noqa: BLE001  (of the network, each library raises its own)
        here = fetched(name)
        if here is not None:
            return here
        raise CheckpointError(
            f"huggingface.co must have {name!r} and be reached; it is not to be had "
            f"({first_line(error)}). Check the name, the connection, and for closed models the "
            "login."
        ) from None
