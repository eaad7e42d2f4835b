"""The checkpoints of a run by step, each opened when it is asked for."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from interp.core.protocols import LanguageModel
from interp.models.io.checkpoint import checkpoint_steps


class History(Mapping[int, LanguageModel]):
    """A run from its first weights to its newest: `model.history[512]`.

    Nothing is kept open, so walking through it holds one model at a time.

    Args:
        folder: folder of the run or the model.
        last: step of the finished model, if its weights are not among the checkpoints.
        load: opens the model of one step.
    """

    def __init__(
        self, folder: Path, last: int | None, load: Callable[[int], LanguageModel]
    ) -> None:
        self.folder = folder
        steps = checkpoint_steps(folder)
        finished = last is not None and (folder / "model.safetensors").exists()
        self.steps: tuple[int, ...] = tuple(sorted({*steps, *([last] if finished else [])}))
        self._load = load

    def __getitem__(self, step: int) -> LanguageModel:
        """The model after `step` updates.

        Raises:
            KeyError: there is no such checkpoint.
            CheckpointError: it is damaged.
        """
        if step not in self.steps:
            raise KeyError(step)
        return self._load(step)

    def __iter__(self) -> Iterator[int]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)
