"""Ctrl-C and SIGTERM: the first asks the run to stop after its step, the second ends it now."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

_CAUGHT = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """The run was stopped by Ctrl-C; its state is saved. Exit code 130."""


class Terminated(SystemExit):
    """The run was stopped by SIGTERM; its state is saved. Exit code 143."""

    def __init__(self, message: str) -> None:
        super().__init__(128 + signal.SIGTERM)
        self.message = message

    def __str__(self) -> str:
        return self.message


@dataclass
class StopRequest:
    """Whether, and by which signal, the run was asked to stop."""

    signal: int | None = None

    def error(self, message: str) -> BaseException:
        """What to raise when the state is saved."""
        return Terminated(message) if self.signal == signal.SIGTERM else Interrupted(message)


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Catch Ctrl-C and SIGTERM inside the block; outside the main thread, do nothing."""
    request = StopRequest()

    def handle(number: int, frame: FrameType | None) -> None:
        if request.signal is not None:
            os._exit(128 + number)
        request.signal = number

    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, handle) for number in _CAUGHT}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
