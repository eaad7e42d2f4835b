"""Every number format: what is read from a run is what the run computed, and none is lowered."""

import pytest
import torch

from interp.core.hooks import EXPENSIVE, short_name
from interp.models.gpt import GPT
from tests.families import FAMILIES, tiny

TOKENS = torch.randint(1, 29, (2, 9), generator=torch.Generator().manual_seed(5))
DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64]
WRITTEN_OUT = ("attn_scores", "pattern", "ln1_scale", "ln2_scale", "final_normalized", *EXPENSIVE)
UNITS = 16
"""Units in the last place of the largest logit: what other orders of the same sums may differ by,
where half precision that squares or sums for itself is off by hundreds or overflows."""


def amplified(family: str, dtype: torch.dtype, part: str, factor: float) -> GPT:
    """A tiny model in a number format, whose stream, or whose queries and keys, are very large."""
    model = tiny(family)
    with torch.no_grad():
        if part == "stream":
            model.embed.weight *= factor
        else:
            for block in model.blocks:
                rows = block.attn.qkv.weight[: sum(block.attn.sizes[:2]) * block.attn.d_head]
                rows *= factor
    return model.to(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("part", "factor"), [("stream", 1), ("stream", 1000), ("queries", 200)])
def test_a_cache_leaves_the_logits(family: str, dtype: torch.dtype, part: str, factor: float):
    model = amplified(family, dtype, part, factor)
    plain = model.run(TOKENS).logits
    assert plain.dtype == dtype and plain.isfinite().all()
    bound = UNITS * torch.finfo(dtype).eps * plain.abs().max()
    there = set(map(short_name, model.hook_names))
    points = [[short] for short in WRITTEN_OUT if short in there]
    for cache in (*points, "all", list(model.hook_names)):
        run = model.run(TOKENS, cache=cache)
        assert (run.logits - plain).abs().max() <= bound, cache
        held = [x for name, x in run.cache.items() if not name.endswith("scores")]
        assert all(x.isfinite().all() for x in held), cache


@pytest.mark.parametrize("family", FAMILIES)
def test_double_precision_is_never_lowered(family: str) -> None:
    model = tiny(family).double()
    run = model.run(TOKENS, cache=list(model.hook_names))
    assert {x.dtype for x in run.cache.values()} == {torch.float64}
    # In single precision the two ways would part at the seventh digit.
    torch.testing.assert_close(run.logits, model.run(TOKENS).logits, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_streams_of_every_kind_are_unembedded(family: str, dtype: torch.dtype) -> None:
    model = tiny(family).to(dtype)
    run = model.run(TOKENS, cache=["resid_post"])
    stream, bound = run["resid_post", -1], 4 * torch.finfo(dtype).eps * run.logits.abs().max()
    for kind in DTYPES:
        logits = model.unembed(stream.to(kind))
        assert logits.dtype == dtype
        # A stream that was lowered itself has lost what its format cannot hold.
        lost = UNITS * torch.finfo(kind).eps * run.logits.abs().max()
        assert (logits - run.logits).abs().max().double() <= bound + lost
