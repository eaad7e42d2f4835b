"""Where each head looks on random tokens said twice: the scores that name a head's habit."""

from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.edits import Edit
from interp.core.errors import NotEnoughDataError
from interp.core.protocols import LanguageModel, Run
from interp.methods.attention_patterns import off_by
from interp.methods.batches import TextBatch, nats_per_token, read_texts

SCORES = ("previous_token", "duplicate_token", "induction", "first_token")
LONGEST = 32


def head_scores(
    model: LanguageModel,
    tokens: Int[Tensor, "batch pos"],
    length: int,
    layers: Sequence[int] | None = None,
) -> Float[Tensor, "batch score layer head"]:
    """`SCORES` of each sequence: mean attention weight where each says to look.

    Args:
        model: any language model.
        tokens: from `repeated_tokens`.
        length: tokens of each copy.
        layers: whose heads; without, all.
    """
    start = tokens.shape[1] - 2 * length  # 1 with a beginning-of-text token
    patterns = _patterns(model, tokens, range(model.cfg.n_layers) if layers is None else layers)
    again = slice(-length, None)  # queries of the second copy
    scores = (
        # The token before the first ordinary one may be the first of all: another score.
        off_by(patterns, 1)[..., max(start, 1) :],
        off_by(patterns, length)[..., again],
        off_by(patterns, length - 1)[..., again],
        patterns[..., 1:, 0],
    )
    means = torch.stack([score.mean(-1) for score in scores])
    return rearrange(means, "score layer batch head -> batch score layer head")


def copy_length(model: LanguageModel, wanted: int = 0) -> int:
    """Tokens in each copy: as wanted, or as fits the context and the vocabulary, at most 32.

    Raises:
        NotEnoughDataError: the context or the vocabulary is too small.
    """
    room = min((model.cfg.n_ctx - 1) // 2, len(_ordinary(model)))
    length = wanted or min(LONGEST, room)
    if not 3 <= length <= room:
        raise NotEnoughDataError(
            f"Each copy needs 3 to {room} different tokens in this model (context "
            f"{model.cfg.n_ctx}, vocabulary {model.cfg.d_vocab}); got {length}."
        )
    return length


def repeated_tokens(
    model: LanguageModel, count: int, length: int, seed: int
) -> Int[Tensor, "batch pos"]:
    """Rows of: beginning of text (if there is one), `length` different tokens, the same again."""
    generator = torch.Generator().manual_seed(seed)
    ids = _ordinary(model)
    order = torch.rand(count, len(ids), generator=generator).argsort(1)[:, :length]
    copy, bos = ids[order], model.tokenizer.bos_token_id
    first = [] if bos is None else [torch.full((count, 1), bos)]
    return torch.cat([*first, copy, copy], 1)


def second_copy_loss(
    model: LanguageModel,
    tokens: Int[Tensor, "batch pos"],
    length: int,
    edits: Sequence[Edit] = (),
) -> Float[Tensor, " batch"]:
    """Mean nats per token of the second copy; its first token cannot be known and is left out."""
    nats = torch.stack(nats_per_token(model, tokens.tolist(), edits=edits))
    return nats[:, 1 - length :].mean(-1)


def _patterns(
    model: LanguageModel, tokens: Int[Tensor, "batch pos"], layers: Sequence[int]
) -> Float[Tensor, "layer batch head query key"]:
    rows = tokens.tolist()
    heads, width = model.cfg.n_heads, tokens.shape[1]
    patterns = torch.empty(len(layers), len(rows), heads, width, width)

    def read(batch: TextBatch, run: Run) -> None:
        patterns[:, list(batch.numbers)] = run.stack("pattern").float().cpu()

    read_texts(model, rows, read, cache=[("pattern", layer) for layer in layers], logits=False)
    return patterns


def _ordinary(model: LanguageModel) -> Int[Tensor, " token"]:
    """Ids that stand for text: special tokens have no bytes."""
    limit = min(model.cfg.d_vocab, model.tokenizer.d_vocab)
    pieces = model.tokenizer.pieces(range(limit))
    spelled = [i for i, piece in enumerate(pieces) if piece]
    return torch.tensor(spelled or list(range(limit)))  # nothing is known without a tokenizer
