"""Metrics to TensorBoard or Weights & Biases, for those who installed the extra."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

from interp.core.errors import ConfigError
from interp.training.loop.metrics import MetricsRecord, Writer

_NOT_A_METRIC = {"kind", "step"}


def tensorboard_writer(folder: Path | str) -> Writer:
    """A writer of TensorBoard event files; needs `pip install interp[tensorboard]`.

    Raises:
        ConfigError: TensorBoard is not installed.
    """
    _need("tensorboard", "tensorboard")
    writer = _need("torch.utils.tensorboard", "tensorboard").SummaryWriter(str(folder))

    def write(record: MetricsRecord) -> None:
        for name, value in _numbers(record).items():
            writer.add_scalar(name, value, record["step"])
        writer.flush()

    return write


def wandb_writer(project: str, name: str | None = None, mode: str = "online") -> Writer:
    """A writer to a Weights & Biases run; needs `pip install interp[wandb]`.

    Args:
        project: W&B project that gets the run.
        name: name of the run.
        mode: `offline` keeps the run on this machine.
    Raises:
        ConfigError: wandb is not installed.
    """
    run = _need("wandb", "wandb").init(project=project, name=name, mode=mode)

    def write(record: MetricsRecord) -> None:
        run.log(_numbers(record) | {"updates": record["step"]})

    return write


def _numbers(record: MetricsRecord) -> dict[str, float]:
    return {
        f"{record['kind']}/{name}": value
        for name, value in record.items()
        if name not in _NOT_A_METRIC and isinstance(value, int | float)
    }


def _need(module: str, extra: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as missing:
        raise ConfigError(
            f"This writer needs {module}, which is not installed: pip install 'interp[{extra}]'."
        ) from missing
