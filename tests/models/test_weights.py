"""A model's hash follows its weights, whoever writes to them."""

import pytest
import torch

from interp.models.gpt import GPT
from interp.models.weights import REAL, hash_of
from tests.families import tiny

TOKENS = torch.randint(1, 29, (3, 9), generator=torch.Generator().manual_seed(5))


def test_the_hash_follows_the_weights() -> None:
    model, twin = tiny("gpt2"), tiny("gpt2")
    first = model.hash
    assert len(first) == 16 and first == twin.hash != tiny("gpt2", seed=1).hash
    with torch.no_grad():
        model.embed.weight[0, 0] += 1
    assert model.hash != first
    with torch.no_grad():
        model.embed.weight.data[0, 0] += 1
    model.load_state_dict(twin.state_dict())
    assert model.hash == first == tiny("gpt2").to("cpu").hash


@pytest.mark.parametrize("kind", [dict(fused=True), dict(foreach=True), dict()])
def test_the_hash_follows_every_optimizer(tiny_model: GPT, kind: dict[str, bool]) -> None:
    before, optimizer = tiny_model.hash, torch.optim.AdamW(tiny_model.parameters(), **kind)
    tiny_model.loss(TOKENS).backward()
    optimizer.step()
    assert tiny_model.hash != before


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("dtype", REAL)
def test_a_write_that_torch_does_not_count_changes_the_hash(dtype, offset: int) -> None:
    holder = torch.nn.Module()
    holder.weight = torch.nn.Parameter(torch.ones(offset + 7, dtype=dtype)[offset:])
    hashes = [hash_of(holder)]
    for place in range(7):
        holder.weight.data[place] += 1
        hashes.append(hash_of(holder))
    assert len(set(hashes)) == 8
