"""How far apart two distributions over the vocabulary are, and how spread out one is."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def kl_divergence(
    log_p: Float[Tensor, "... d_vocab"], log_q: Float[Tensor, "... d_vocab"]
) -> Float[Tensor, "..."]:
    """KL(p || q) in nats over the last axis: what q costs beyond the entropy, where p is true.

    Args:
        log_p: log-probabilities of the distribution that is taken as true.
        log_q: log-probabilities of the other.
    Example:
        >>> log_p, log_q = torch.tensor([1.0, 0.0]).log(), torch.tensor([0.5, 0.5]).log()
        >>> f"{kl_divergence(log_p, log_q):.3f}"
        '0.693'
    """
    return _expected(log_p, log_p - log_q)


def entropy_bits(log_p: Float[Tensor, "... d_vocab"]) -> Float[Tensor, "..."]:
    """Entropy in bits over the last axis: 0 = sure, log2(d_vocab) = uniform.

    Args:
        log_p: log-probabilities, in nats.
    Example:
        >>> f"{entropy_bits(torch.full((8,), 1 / 8).log()):.3f}"
        '3.000'
    """
    return -_expected(log_p, log_p) / math.log(2)


def followed_tokens(
    before: Float[Tensor, " d_vocab"], after: Float[Tensor, " d_vocab"], answer: int, k: int
) -> list[int]:
    """The `k` best tokens before a change, the answer, and half as many that became the best."""
    k = min(k, len(before))
    best_before, best_after = (each.topk(k).indices.tolist() for each in (before, after))
    return list(dict.fromkeys([*best_before, answer, *best_after[: max(k // 2, 1)]]))


def _expected(
    log_p: Float[Tensor, "... d_vocab"], values: Float[Tensor, "... d_vocab"]
) -> Float[Tensor, "..."]:
    # A token of probability 0 (log-probability -inf) adds nothing; 0 * inf would be nan.
    return torch.where(log_p.isneginf(), 0.0, log_p.exp() * values).sum(-1)
