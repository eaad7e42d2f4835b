"""A small transformer of the tiny world at seven moments of its training, in memory."""

from copy import deepcopy
from functools import cache

import torch

from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.tokenizer import Tokenizer
from tests.analyses.tiny_world import TinyWorld

STEPS = (0, 2, 6, 16, 40, 90, 160)


@cache
def growing_model(seed: int = 0, batch: int = 24) -> GPT:
    """The last model; `history` holds all of them by step."""
    world = TinyWorld()
    tokenizer = Tokenizer.words([world.sample(number).text for number in range(500)])
    cfg = GPTConfig(
        n_layers=2, d_model=32, n_heads=2, d_vocab=tokenizer.d_vocab, n_ctx=64, init_std=None,
        positions="rotary", norm="rms",
    )  # fmt: skip
    model = GPT(cfg, tokenizer, seed=seed, name=f"tiny {seed}")
    optimizer = torch.optim.AdamW(model.parameters(), lr=6e-3)
    history = {}
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            history[step] = deepcopy(model).eval()
            history[step].step = step
        first = (seed * 10_000 + step) * batch
        rows = [tokenizer.encode(world.sample(first + i).text) for i in range(batch)]
        width = max(map(len, rows))
        tokens = torch.tensor([row + [row[0]] * (width - len(row)) for row in rows])
        optimizer.zero_grad()
        model.loss(tokens).backward()
        optimizer.step()
    last = history[STEPS[-1]]
    last.history = history
    return last
