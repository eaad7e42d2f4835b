"""Where each head looks on random tokens said twice: the scores that name a head's habit."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.analyses._attention_weights import off_by
from interp.protocols import LanguageModel

SCORES = ("previous_token", "duplicate_token", "induction", "first_token")


def head_scores(
    model: LanguageModel, tokens: Int[Tensor, "batch pos"], length: int
) -> Float[Tensor, "batch score layer head"]:
    """`SCORES` of each sequence: mean attention weight where each says to look.

    Args:
        model: any language model.
        tokens: from `repeated_tokens`.
        length: tokens of each copy.
    """
    start = tokens.shape[1] - 2 * length  # 1 with a beginning-of-text token
    patterns = model.run(tokens, cache=["pattern"]).stack("pattern").float().cpu()
    again = slice(-length, None)  # queries of the second copy
    scores = (
        # The token before the first ordinary one may be the first of all: another score.
        off_by(patterns, 1)[..., max(start, 1) :],
        off_by(patterns, length)[..., again],
        off_by(patterns, length - 1)[..., again],
        patterns[..., 1:, 0],
    )
    return torch.stack([score.mean(-1) for score in scores]).permute(2, 0, 1, 3)
