"""Tiny models of every kind, seen through TransformerLens, for its contract tests."""

import torch

from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.tokenizer import Tokenizer

TEXT = "the cat sat on the mat and the dog sat on the log while a bird flew over the hill"
SIZES = dict(n_layers=3, d_model=16, n_heads=4, n_ctx=24, init_std=0.3, embed_std=0.5, head_std=0.5)
LLAMA = dict(norm="rms", positions="rotary", act="silu", gated=True, bias=False, tied=False)
FAMILIES = {
    "gpt2": {},
    "untied-no-bias": dict(tied=False, bias=False, act="relu2"),
    "llama": LLAMA,
    "grouped": LLAMA | dict(n_key_value_heads=2),
    "qwen3": LLAMA | dict(qk_norm=True, d_head=6, n_key_value_heads=2),
    "attn-only": dict(attn_only=True, positions="none"),
}
UNGROUPED = [family for family in FAMILIES if family not in ("grouped", "qwen3")]
WITH_MLP = [family for family in FAMILIES if family != "attn-only"]
UNGROUPED_MLP = [family for family in UNGROUPED if family in WITH_MLP]


def build(family):
    """A tiny model whose norms and biases are not at their harmless start, and its view."""
    tokenizer = Tokenizer.words([TEXT])
    model = GPT(GPTConfig(d_vocab=tokenizer.d_vocab, **SIZES, **FAMILIES[family]), tokenizer)
    random = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim == 1:
                start = 1.0 if "weight" in name else 0.0
                p.copy_(start + 0.3 * torch.randn(p.shape, generator=random))
    return model.eval().as_transformer_lens()


CLEAN = torch.tensor([[0, 5, 2, 7, 3], [0, 1, 4, 6, 2]])
CORRUPT = torch.tensor([[0, 5, 3, 7, 3], [0, 8, 4, 6, 2]])


def metric(logits):
    """A scalar that any part of the model can move."""
    return (logits[:, -1, 4] - logits[:, -1, 9]).mean()


def close(a, b, atol=2e-5):
    torch.testing.assert_close(a, b, atol=atol, rtol=1e-4)
