"""A small transformer that learned the tiny world's language in a few seconds of one core."""

from functools import cache

import torch

from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.tokenizer import Tokenizer
from tests.analyses.tiny_world import TinyWorld


@cache
def tiny_model(steps: int = 250, batch: int = 48) -> GPT:
    """Trained on whole stories, a new batch each step; the same every time."""
    world = TinyWorld()
    texts = [world.sample(seed).text for seed in range(steps * batch)]
    tokenizer = Tokenizer.words(texts[:500])
    cfg = GPTConfig(
        n_layers=2,
        d_model=32,
        n_heads=2,
        d_vocab=tokenizer.d_vocab,
        n_ctx=64,
        init_std=None,
        positions="rotary",
        norm="rms",
    )
    model = GPT(cfg, tokenizer, seed=0, name="tiny")
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    rows = [tokenizer.encode(text) for text in texts]
    for step in range(steps):
        part = rows[step * batch : (step + 1) * batch]
        width = max(map(len, part))
        tokens = torch.tensor([row + [row[0]] * (width - len(row)) for row in part])
        loss = model.loss(tokens)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()
