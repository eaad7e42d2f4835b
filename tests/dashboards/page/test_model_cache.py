"""Two readers share models and results, and nothing of one is seen by the other."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import torch

from dashboards.page import measurements, model_cache
from dashboards.page.model_list import Entry
from interp.core.cache import size_bytes
from interp.core.edits import Add
from interp.results.cache import ResultCache


def test_steered_and_plain_texts_of_two_readers_never_mix(model_root):
    model = model_cache.opened(Entry("stories-demo", model_root / "stories-demo"), None)
    push = Add(hook=("resid_post", 0), vector=torch.linspace(-1, 1, model.cfg.d_model))

    def text(seed: int, edits: tuple = ()) -> str:
        return measurements.continued(
            model, "It is a sunny morning. Anna", edits=edits, seed=seed, max_new_tokens=8
        ).text

    calls = [(seed, edits) for seed in range(20) for edits in ((), (push,))]
    alone = [text(*call) for call in calls]
    measurements.forget()
    with ThreadPoolExecutor(2) as readers:
        together = list(readers.map(lambda call: text(*call), calls))
    assert together == alone
    assert alone[::2] != alone[1::2]


def test_what_was_asked_before_is_remembered_and_other_seeds_are_not_it(model_root):
    model = model_cache.opened(Entry("stories-demo", model_root / "stories-demo"), None)
    ask = {"prompt": "It is a sunny morning. Anna", "untrained": 1}
    first = measurements.measured("attention", model, **ask, seed=0)
    assert measurements.measured("attention", model, **ask, seed=0) is first
    assert measurements.measured("attention", model, **ask, seed=1) is not first


def test_two_who_ask_the_same_at_once_wait_for_one_measurement(model_root):
    model = model_cache.opened(Entry("stories-demo", model_root / "stories-demo"), None)
    measurements.forget()
    ask = {"prompt": "It is a sunny morning. Anna", "untrained": 1, "seed": 7}
    start = Barrier(4)

    def measure(_: int):
        start.wait()
        return measurements.measured("attention", model, **ask)

    with ThreadPoolExecutor(4) as readers:
        results = list(readers.map(measure, range(4)))
    assert all(number is results[0] for number in results)
    assert measurements.knows("attention", model, **ask)
    assert not measurements.knows("attention", model, **{**ask, "seed": 8})


def test_memory_is_bounded_in_bytes_and_the_oldest_goes_first(model_root, monkeypatch):
    model = model_cache.opened(Entry("stories-demo", model_root / "stories-demo"), None)
    measurements.forget()

    def ask(seed: int):
        prompt = "It is a sunny morning. Anna"
        return measurements.measured("attention", model, prompt=prompt, untrained=1, seed=seed)

    size = size_bytes(ask(0))
    cache = ResultCache(int(3.5 * size))
    monkeypatch.setattr(measurements, "_cache", cache)
    first = ask(0)
    for seed in range(1, 4):
        ask(seed)
    assert cache.memory.n_bytes <= 3.5 * size and len(cache.memory) == 3 + 1  # that none is saved
    assert ask(3) is ask(3) and ask(0) is not first


def test_a_result_too_large_to_remember_is_measured_all_the_same(model_root, monkeypatch):
    model = model_cache.opened(Entry("stories-demo", model_root / "stories-demo"), None)
    monkeypatch.setattr(measurements, "_cache", ResultCache(10))
    ask = {"prompt": "It is a sunny morning. Anna", "untrained": 1, "seed": 0}
    assert measurements.measured("attention", model, **ask) == measurements.measured(
        "attention", model, **ask
    )
