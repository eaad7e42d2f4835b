"""Prompts in, token ids out: padded on the left, checked against the vocabulary and the context."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from interp.core.errors import ShapeError, TokenError
from interp.core.protocols import ModelConfig, Prompt, Tokenizer

Tokens = tuple[Int[Tensor, "batch pos"], Bool[Tensor, "batch pos"]]


def to_tokens(
    prompt: Prompt, tokenizer: Tokenizer, cfg: ModelConfig, device: torch.device
) -> Tokens:
    """Ids and mask (batch pos); rows of different length are padded on the left.

    Raises:
        TokenError: empty, not in the vocabulary, or text the tokenizer cannot encode.
    """
    if isinstance(prompt, Tensor):
        ids = torch.atleast_2d(prompt).to(device=device, dtype=torch.long)
        if ids.ndim != 2 or prompt.is_floating_point():
            kind = f"{tuple(prompt.shape)} of {prompt.dtype}"
            raise TokenError(f"Tokens must be whole numbers (batch pos) or (pos); got {kind}.")
        mask = torch.ones_like(ids, dtype=torch.bool)
    else:
        rows = [list(row) for row in _rows(prompt, tokenizer, cfg.n_ctx)]
        ids, mask = pad(rows, tokenizer.bos_token_id or 0, device)
    _check_ids(ids, cfg.d_vocab)
    return ids, mask


def pad(rows: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> Tokens:
    """Rows of ids as one tensor, shorter ones filled up on the left, and where the real ids are."""
    width = max(map(len, rows), default=0)
    if not rows or min(map(len, rows)) == 0:
        raise TokenError("A prompt needs at least one token; got an empty one. Give it some text.")
    filled = [[pad_id] * (width - len(row)) + list(row) for row in rows]
    real = [[False] * (width - len(row)) + [True] * len(row) for row in rows]
    return torch.tensor(filled, device=device), torch.tensor(real, device=device)


def with_mask(tokens: Tokens, mask: Tensor | None, n_ctx: int) -> Tokens:
    """The ids, with the caller's mask where one is given.

    Raises:
        ShapeError: the mask does not fit, or pads elsewhere than on the left.
        TokenError: a row is longer than the context.
    """
    ids, real = tokens
    if mask is not None:
        real = mask.to(device=ids.device, dtype=torch.bool)
        if real.shape != ids.shape:
            shapes = f"{tuple(ids.shape)}; got {tuple(real.shape)}"
            raise ShapeError(f"The mask must have the shape of the tokens, {shapes}.")
        if not bool((real[:, 1:] >= real[:, :-1]).all() and real[:, -1].all()):
            raise ShapeError("Padding must stand on the left of every row; move it there.")
    longest = ids.shape[1] if mask is None else int(real.sum(1).max())
    if longest > n_ctx:
        raise TokenError(_too_long(n_ctx, longest))
    return ids, real


def _too_long(n_ctx: int, length: int) -> str:
    """The sentence of a prompt that does not fit the context."""
    return f"The context holds {n_ctx} tokens; the prompt has {length}. Cut it."


def _rows(prompt: Prompt, tokenizer: Tokenizer, n_ctx: int) -> Sequence[Sequence[int]]:
    if isinstance(prompt, str):
        return [_encode(prompt, tokenizer, n_ctx)]
    prompt = list(prompt)
    if prompt and all(isinstance(part, str) for part in prompt):
        return [_encode(part, tokenizer, n_ctx) for part in prompt]
    if prompt and all(isinstance(part, Sequence | Tensor) for part in prompt):
        return [[int(token) for token in row] for row in prompt]
    if not all(isinstance(part, int) for part in prompt):
        raise TokenError("A prompt is a text, texts, token ids or rows of ids; got a mixture.")
    return [prompt]


def _encode(text: str, tokenizer: Tokenizer, n_ctx: int) -> list[int]:
    try:
        return tokenizer.encode(text)
    except TokenError:
        # Of a text that is too long, its length is what to mend: before any word in it.
        least = getattr(tokenizer, "least_length", lambda _: 0)(text)
        if least > n_ctx:
            raise TokenError(_too_long(n_ctx, least)) from None
        raise


def _check_ids(ids: Tensor, d_vocab: int) -> None:
    if ids.numel() == 0:
        raise TokenError("A prompt needs at least one token; got an empty one. Give it some text.")
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= d_vocab:
        wrong = low if low < 0 else high
        raise TokenError(f"Token ids must be in 0-{d_vocab - 1}; got {wrong}. Another tokenizer?")
