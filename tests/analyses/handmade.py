"""A copying circuit put together by hand, so that what the heads do is known and not learned."""

import torch

from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.tokenizer import Tokenizer

WORDS = tuple(
    "ant bee cat dog eel fox gnu hen ibis jay kid lark mole newt owl pig".split()  # noqa: SIM905
)
SHARP = 400.0


def word_tokenizer() -> Tokenizer:
    """`ant`, ` ant`, … one token each."""
    return Tokenizer.words([*WORDS, " ".join(WORDS * 2)])


def induction_model(n_ctx: int = 40) -> GPT:
    """Two layers of two heads: 0.0 looks at the token before, 1.0 continues a repetition.

    The others have no weights at all. The residual stream has four parts: token, position, copy of
    the token before, and what the unembedding reads.
    """
    tokenizer = word_tokenizer()
    v, p = tokenizer.d_vocab, n_ctx
    token, place, before, said = (
        slice(a, a + n) for a, n in ((0, v), (v, p), (v + p, v), (2 * v + p, v))
    )
    width = 3 * v + p
    cfg = GPTConfig(
        n_layers=2, d_model=width, n_heads=2, d_head=max(v, p), d_vocab=v, n_ctx=n_ctx,
        norm="rms", attn_only=True, bias=False, tied=False,
    )  # fmt: skip
    model = GPT(cfg, tokenizer, name="handmade induction").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.zero_()
        model.embed.weight[:, token] = torch.eye(v)
        model.pos_embed.weight[:, place] = torch.eye(p)
        model.head.weight[:, said] = 10 * torch.eye(v)
        shifted = torch.eye(p).roll(1, 0)  # the key at j answers the query at j + 1
        shifted[0] = 0
        _wire(model, 0, query=(place, torch.eye(p)), key=(place, shifted), moves=(token, before))
        _wire(
            model, 1, query=(token, torch.eye(v)), key=(before, torch.eye(v)), moves=(token, said)
        )
    return model


def _wire(model: GPT, layer: int, query: tuple, key: tuple, moves: tuple) -> None:
    """Head 0 of the layer: where queries meet keys, and what is moved from where to where."""
    attn, d_head = model.blocks[layer].attn, model.cfg.d_head
    q, k, v = (attn.qkv.weight[2 * i * d_head : (2 * i + 1) * d_head] for i in range(3))
    (read, wanted), (seen, offered), (source, target) = query, key, moves
    q[: len(wanted), read] = SHARP * wanted
    k[: len(offered), seen] = offered
    size = source.stop - source.start
    v[:size, source] = torch.eye(size)
    attn.out.weight[target, :size] = torch.eye(size)
