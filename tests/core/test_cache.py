"""What was computed is remembered within a bound, and computed once for all who ask."""

import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch

from interp.core.cache import ByteBoundedCache, size_bytes


def test_two_who_ask_the_same_wait_for_one_computation():
    cache, start, made = ByteBoundedCache(2**20), Barrier(4), []

    def ask(_: int) -> torch.Tensor:
        start.wait()
        return cache.get_or_make("a", lambda: made.append(1) or torch.zeros(3))

    with ThreadPoolExecutor(4) as readers:
        values = list(readers.map(ask, range(4)))
    assert made == [1] and all(value is values[0] for value in values)


def test_a_computation_may_ask_for_another_one():
    cache = ByteBoundedCache(2**20)
    outer = cache.get_or_make("outer", lambda: cache.get_or_make("inner", lambda: 2) + 1)
    assert outer == 3 and cache.get("inner") == 2


def test_the_least_recently_used_goes_first_and_what_is_too_large_is_not_kept():
    size = size_bytes(torch.zeros(100))
    cache = ByteBoundedCache(3 * size)
    for key in "abc":
        cache.put(key, torch.zeros(100))
    assert cache.get("a") is not None
    cache.put("d", torch.zeros(100))
    assert "b" not in cache and all(key in cache for key in "acd")
    assert len(cache) == 3 and cache.n_bytes == 3 * size
    assert len(cache.get_or_make("large", lambda: torch.zeros(10_000))) == 10_000
    cache.put("a", torch.zeros(10_000))
    assert "large" not in cache and "a" not in cache and cache.n_bytes <= 3 * size
    cache.clear()
    assert len(cache) == 0 and cache.n_bytes == 0


def test_a_computation_that_fails_leaves_nothing_and_is_tried_again():
    cache = ByteBoundedCache(2**20)
    with pytest.raises(ZeroDivisionError):
        cache.get_or_make("a", lambda: 1 // 0)
    assert cache.get("a") is None and cache.get_or_make("a", lambda: 1) == 1


def test_a_view_counts_with_all_that_it_holds():
    assert size_bytes(torch.zeros(1000)[:2]) >= 4000
    assert size_bytes({"a": ["word" * 1000]}) > 4000 > size_bytes(1.0) == sys.getsizeof(1.0)
