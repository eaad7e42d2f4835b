"""Memory of what was computed: bounded in bytes, shared by threads, the least recently used first
to go."""

import sys
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, is_dataclass
from threading import Condition
from typing import Any

from cachetools import LRUCache, cached
from torch import Tensor


class ByteBoundedCache:
    """Values by key, as many as fit into a number of bytes.

    Values are shared, so nobody may change one. A value larger than the bound is not remembered.

    Args:
        most_bytes: how much all values may fill, as `size_bytes` counts it.
    Example:
        >>> cache = ByteBoundedCache(2**20)
        >>> cache.get_or_make("a", lambda: 1), cache.get_or_make("a", lambda: 2)
        (1, 1)
    """

    def __init__(self, most_bytes: int) -> None:
        self._values: LRUCache = LRUCache(most_bytes, getsizeof=size_bytes)
        self._turn = Condition()
        # With the condition, two who ask for the same key at once wait for one computation, while
        # others compute what they ask for.
        self._kept = cached(self._values, key=lambda key, make: key, condition=self._turn)(
            lambda key, make: make()
        )

    def get_or_make(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value of the key; if there is none yet, `make` computes it.

        Args:
            key: all that the value depends on.
            make: computes the value; whatever it raises goes on to the caller, and nothing is kept.
        """
        return self._kept(key, make)

    def get(self, key: Hashable) -> Any:
        """The value of the key; None if there is none."""
        with self._turn:
            return self._values.get(key)

    def put(self, key: Hashable, value: Any) -> None:
        """Remember a value that was read elsewhere, instead of the key's former one."""
        with self._turn:
            self._values.pop(key, None)
            if size_bytes(value) <= self._values.maxsize:
                self._values[key] = value

    def clear(self) -> None:
        """Forget every value."""
        with self._turn:
            self._values.clear()

    @property
    def n_bytes(self) -> int:
        """How much the values fill now."""
        return self._values.currsize

    def __contains__(self, key: Hashable) -> bool:
        with self._turn:
            return key in self._values

    def __len__(self) -> int:
        return len(self._values)


def size_bytes(value: Any) -> int:
    """About how much memory a value fills: its tensors, text, numbers, and what holds them.

    Args:
        value: a tensor, text or number, or a list, tuple, dict or dataclass of such values.
    """
    if isinstance(value, Tensor):
        return sys.getsizeof(value) + value.untyped_storage().nbytes()
    inner: list[Any] = []
    if isinstance(value, (list, tuple)):
        inner = list(value)
    elif isinstance(value, Mapping):
        inner = [*value.keys(), *value.values()]
    elif is_dataclass(value):
        inner = [getattr(value, entry.name) for entry in fields(value)]
    return sys.getsizeof(value) + sum(map(size_bytes, inner))
