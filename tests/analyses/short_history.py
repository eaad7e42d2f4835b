"""A small transformer with the weights of each of its first steps."""

from functools import cache

import torch

from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.tokenizer import Tokenizer
from tests.analyses.tiny_world import TinyWorld

SIZES = dict(n_layers=2, d_model=16, n_heads=2, n_ctx=64, init_std=0.3, embed_std=0.5)


def copy_of(model: GPT, step: int | None = None) -> GPT:
    """Another model with the same weights."""
    twin = GPT(model.cfg, model.tokenizer, name=model.name)
    twin.load_state_dict(model.state_dict())
    twin.step = step
    return twin.eval()


@cache
def short_history(steps: int = 6, lr: float = 0.3) -> GPT:
    """Plain steps on whole stories of the tiny world; `history` holds every step's weights."""
    texts = [TinyWorld().sample(seed).text for seed in range(steps * 16)]
    tokenizer = Tokenizer.words(texts)
    model = GPT(GPTConfig(d_vocab=tokenizer.d_vocab, **SIZES), tokenizer, seed=0, name="tiny")
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    history = {0: copy_of(model, 0)}
    for step in range(steps):
        rows = [tokenizer.encode(text) for text in texts[step * 16 :][:16]]
        width = min(map(len, rows))
        optimizer.zero_grad()
        model.loss(torch.tensor([row[:width] for row in rows])).backward()
        optimizer.step()
        history[step + 1] = copy_of(model, step + 1)
    last = copy_of(model, steps)
    last.history = history
    return last
