"""Where to compute."""

import torch

from interp.core.errors import ConfigError


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """The device by name; `auto` = CUDA, else MPS, else the CPU.

    Raises:
        ConfigError: this machine, or this build of torch, has no such device.

    Example:
        >>> pick_device("cpu")
        device(type='cpu')
    """
    if device == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if _present(name))
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        text = f"Device must be auto, cuda, mps or cpu; got {device!r}."
        raise ConfigError(text) from error
    if not _present(chosen.type):
        raise ConfigError(f"This machine has no {chosen.type} device that torch can use; try cpu.")
    return chosen


def _present(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available()
    return kind == "cpu" or (kind == "mps" and torch.backends.mps.is_available())
