"""What a measurement will cost is told before it starts, and about what it then costs."""

import time

import pytest
import torch

from interp.analyses.attention_heads.head_ablation import head_ablation
from interp.analyses.attention_heads.heads import heads
from interp.analyses.attribution.gradient_step import gradient_step
from interp.analyses.lenses.tuned_lens import tuned_lens
from interp.core import cost
from interp.core.cost import CostError, Passes, announce, cost_limit
from interp.core.errors import InterpError
from interp.core.progress import listening, progress_range
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.tokenizer import Tokenizer
from tests.families import tiny

TEXT = "Anna is in the garden . Ben is in the kitchen ."


@pytest.fixture(scope="module")
def model():
    tokenizer = Tokenizer.words([TEXT])
    sizes = dict(n_layers=4, d_model=256, n_heads=4, d_vocab=4096, n_ctx=64)
    return GPT(GPTConfig(**sizes), tokenizer, seed=1, name="small").eval()


def estimate(measure):
    with pytest.raises(CostError) as refusal, cost_limit(seconds=0):
        measure()
    return refusal.value.cost


@pytest.mark.parametrize(
    "measure",
    [
        lambda m: head_ablation(m, TEXT),
        lambda m: heads(m, n_sequences=8, length=4, untrained=1),
        lambda m: gradient_step(m, TEXT, answer=" garden"),
        lambda m: tuned_lens(m, [TEXT] * 12, steps=8, batch=128),
    ],
    ids=["head_ablation", "heads", "gradient_step", "tuned_lens"],
)
def test_the_estimate_is_right_within_a_factor_of_three(model, measure):
    expected = estimate(lambda: measure(model)).seconds
    measure(model)  # what is imported at the first call is not of the measurement
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    start = time.process_time()
    try:
        measure(model)
    finally:
        torch.set_num_threads(threads)
    took = time.process_time() - start
    assert expected / 3.5 < took < 3.5 * expected


def test_what_is_too_much_is_refused_with_the_estimate_and_both_ways_on():
    model = tiny("gpt2")
    with pytest.raises(InterpError, match=r"about .* and .* GB.*Take less\..*--yes.*cost_limit"):
        announce(model, Passes(count=1e9, tokens=24, logits=24), smaller="Take less.")
    with cost_limit():
        announce(model, Passes(count=1e9, tokens=24, logits=24), smaller="Take less.")
    with pytest.raises(CostError):  # the block is over
        announce(model, Passes(count=1e9, tokens=24, logits=24), smaller="Take less.")


MEASURES = {
    "heads": lambda m, **more: heads(m, **{"n_sequences": 16, "untrained": 1, **more}),
    "heads on texts": lambda m, **more: heads(
        m, **{"texts": [TEXT] * 9, "n_sequences": 8, "untrained": 0, **more}
    ),
    "tuned_lens": lambda m, **more: tuned_lens(
        m, [TEXT] * 12, **{"steps": 120, "batch": 64, **more}
    ),
}


@pytest.mark.parametrize("name", MEASURES)
def test_the_suggested_question_is_within_the_limit_and_near_it(model, name):
    """From just below the cost to what only the smallest question meets, at any limit."""

    def measure(**more):
        return MEASURES[name](model, **more)

    whole, found = estimate(measure), []
    for share in (0.99, 0.6, 0.3, 0.15):
        limit = whole.seconds * share
        with pytest.raises(CostError) as refusal, cost_limit(seconds=limit):
            measure()
        smaller = refusal.value.smaller
        assert smaller and all(f"{argument}=" in str(refusal.value) for argument in smaller)
        assert limit / 4 < estimate(lambda: measure(**smaller)).seconds <= limit  # noqa: B023
        found.append(set(smaller))
    assert set().union(*found) >= {"layers"}
    with cost_limit(seconds=whole.seconds * 0.15):
        measure(**smaller)  # what is named can be typed, and starts


def test_where_nothing_fits_nothing_is_suggested(model):
    with pytest.raises(CostError) as refusal, cost_limit(seconds=0):
        MEASURES["heads"](model)
    assert refusal.value.smaller == {} and "Within" not in str(refusal.value)


def test_a_suggestion_is_written_as_it_is_typed():
    told = cost._written({"layers": (0, 1), "n_sequences": 4, "texts": ("a", "b")})
    assert told == "layers=[0, 1], n_sequences=4, texts=texts[:2]"
    assert cost._written({"layers": tuple(range(9))}) == "layers=range(9)"


def test_memory_alone_is_refused_too():
    with pytest.raises(CostError) as refusal:
        announce(tiny("gpt2"), kept=1e9, smaller="Keep less.")
    assert refusal.value.cost.gigabytes == pytest.approx(4.0, rel=0.01)


def test_what_takes_seconds_tells_its_cost_before_it_starts():
    reports = []
    with listening(reports.append):
        told = announce(tiny("gpt2"), Passes(count=4e4, tokens=24), smaller="")
        announce(tiny("gpt2"), Passes(count=1, tokens=24), smaller="")
    assert [(each.stage, each.share, each.is_cost) for each in reports] == [(str(told), 0.0, True)]


def test_of_several_costs_only_the_whole_calls_is_told():
    reports = []
    with listening(reports.append), progress_range(0.0, 0.5):
        for count in (8e4, 4e4):
            announce(tiny("gpt2"), Passes(count=count, tokens=24), smaller="")
    assert len(reports) == 1


def test_a_busy_processor_is_taken_for_a_quiet_one(monkeypatch):
    def seconds():
        cost._speed.cache_clear()
        return announce(tiny("gpt2"), Passes(count=100, tokens=24), smaller="").seconds

    usual = seconds()
    monkeypatch.setattr(cost, "_time", lambda work, device: 1.0)
    busy = seconds()
    cost._speed.cache_clear()
    assert usual <= busy < 1.0
