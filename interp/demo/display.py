"""What the demo shows while it works; the command line has one for terminals."""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from interp.training.loop.pretrain import ProgressCallback


class Display(Protocol):
    """Told what happens, stage by stage."""

    def say(self, text: str) -> None:
        """One line that stays."""

    def training(self, steps: int) -> AbstractContextManager[ProgressCallback]:
        """Shows the training while the block runs; gives what the trainer reports to."""

    def busy(self, what: str) -> AbstractContextManager[None]:
        """Shows that something takes a while."""


class Quiet:
    """Shows nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    def training(self, steps: int) -> AbstractContextManager[ProgressCallback]:
        """Nothing."""
        return nullcontext(lambda progress: None)

    def busy(self, what: str) -> AbstractContextManager[None]:
        """Nothing."""
        return nullcontext()
