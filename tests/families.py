"""Tiny random models, one configuration a family."""

from interp.models.config import GPTConfig
from interp.models.gpt import GPT

SMALL = dict(n_layers=2, d_model=16, n_heads=4, d_vocab=29, n_ctx=24, init_std=0.3, embed_std=0.5)
LLAMA = dict(norm="rms", positions="rotary", act="silu", gated=True, bias=False, tied=False)
FAMILIES: dict[str, GPTConfig] = {
    "gpt2": GPTConfig(**SMALL),
    "rotary": GPTConfig(**SMALL, positions="rotary", act="relu2", bias=False, tied=False),
    "llama": GPTConfig(**SMALL, **LLAMA, n_key_value_heads=2, d_mlp=20),
    "qwen3": GPTConfig(**SMALL, **LLAMA, n_key_value_heads=2, d_mlp=20, d_head=6, qk_norm=True),
    "no-norm": GPTConfig(**SMALL, norm="none", act="relu", bias=False, tied=False),
    "attn-only": GPTConfig(**SMALL, attn_only=True, positions="none", tied=False),
}
"""One configuration a family, with weights large enough that every part matters."""


def tiny(family: str, seed: int = 0, **changes: object) -> GPT:
    """A tiny random model, its head as large as its embeddings, in eval mode."""
    settings = {**vars(FAMILIES[family]), "head_std": 0.5, **changes}
    return GPT(GPTConfig(**settings), seed=seed, name=f"tiny-{family}").eval()
