"""How long each stage of the demo took: `times.json` in its folder."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from interp.core.files import read_object, write_json


class Ledger:
    """Seconds by stage, kept on disk.

    A stage that was stopped and went on has the sum of its parts; one that is done anew counts as
    the last time.

    Args:
        path: the JSON file; made when the first stage ends or is stopped.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        record = read_object(path) if path.exists() else {}
        self.done: dict[str, float] = record.get("done", {})
        self._stopped: dict[str, float] = record.get("stopped", {})

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block under this name."""
        began = time.perf_counter()
        finished = False
        try:
            yield
            finished = True
        finally:
            spent = self._stopped.pop(name, 0.0) + time.perf_counter() - began
            (self.done if finished else self._stopped)[name] = round(spent, 2)
            write_json(self._path, {"done": self.done, "stopped": self._stopped})

    def table(self) -> list[str]:
        """A line a stage that is done, and their sum."""
        rows = [*self.done.items(), ("together", sum(self.done.values()))]
        width = max(len(name) for name, _ in rows)
        return [f"{name:<{width}} {seconds:8.1f} s" for name, seconds in rows]
