"""Several readers steer one model at once: nobody's concepts leak into another's text."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch

from dashboards.steering.side_by_side import growing
from interp.analyses.interventions.continuation import continuation
from interp.core.edits import Add
from interp.models.io.load import load_model

WRITERS, EACH = 2, 50
PROMPT = "It is a rainy afternoon. Henry is in the harbor."
OPTIONS = {"max_new_tokens": 16, "temperature": 1.0, "top_k": None}


@pytest.fixture(scope="module")
def model(model_root):
    """The one object that all sessions of a server share."""
    return load_model(str(model_root / "stories-demo"))


def edits_of(writer: int, turn: int) -> list[Add]:
    """Each writer has a direction of its own, and a new dose every turn."""
    vector = torch.randn(16, generator=torch.Generator().manual_seed(writer)) * 3
    return [Add(hook=("resid_post", writer % 2), vector=vector, scale=0.1 * turn - 2)]


def pair(model, writer: int, turn: int) -> tuple[str, str]:
    """Base and steered text, as the page streams them."""
    return [*growing(model, PROMPT, edits_of(writer, turn), {**OPTIONS, "seed": turn})][-1]


@pytest.mark.slow
def test_two_hundred_texts_written_at_once_are_those_written_alone(model):
    start = Barrier(WRITERS)

    def write(writer: int) -> list[tuple[str, str]]:
        start.wait()
        return [pair(model, writer, turn) for turn in range(EACH)]

    with ThreadPoolExecutor(WRITERS) as threads:
        together = list(threads.map(write, range(WRITERS)))
    alone = load_model(model.source)
    for writer, pairs in enumerate(together):
        for turn, (base, steered) in enumerate(pairs):
            options = {**OPTIONS, "seed": turn}
            assert base == alone.generate(PROMPT, **options).text
            edits = edits_of(writer, turn)
            assert steered == alone.generate(PROMPT, edits=edits, **options).text
    assert sum(len(pairs) * 2 for pairs in together) == 200
    assert len({steered for pairs in together for _, steered in pairs}) > 50


@pytest.mark.slow
def test_results_measured_at_once_are_those_measured_alone(model):
    def measure(number: int):
        return continuation(model, PROMPT, edits_of(number % 2, number), **OPTIONS, seed=number)

    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(measure, range(20)))
    assert together == [measure(number) for number in range(20)]
