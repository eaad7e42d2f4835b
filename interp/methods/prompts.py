"""One prompt as an analysis reads it: a single row of ids, their display, and one-token words."""

from collections.abc import Sequence

from jaxtyping import Int
from torch import Tensor

from interp.core.errors import ShapeError, TokenError
from interp.core.protocols import LanguageModel, Prompt, Tokenizer


def one_row(model: LanguageModel, prompt: Prompt) -> Int[Tensor, "1 pos"]:
    """The ids of a single prompt, as the model is fed them.

    Raises:
        ShapeError: more than one row came.
        TokenError: the prompt is empty, too long, or cannot be encoded.
    """
    tokens, _ = model.to_tokens(prompt)
    if tokens.shape[0] != 1:
        raise ShapeError(
            f"This instrument reads one prompt; {tokens.shape[0]} came. Call it once for each."
        )
    return tokens


def displayed(tokenizer: Tokenizer, ids: Sequence[int]) -> tuple[str, ...]:
    """One printable string a token, for people only."""
    return tuple(tokenizer.display(list(ids)))


def single_tokens(tokenizer: Tokenizer, words: Sequence[str]) -> list[int]:
    """The id of each word, which must be one token.

    Raises:
        TokenError: a word is several tokens (its pieces are shown) or none.
    """
    return [_single_token(tokenizer, word) for word in words]


def _single_token(tokenizer: Tokenizer, word: str) -> int:
    ids = tokenizer.encode(word, bos=False)
    if len(ids) == 1:
        return ids[0]
    pieces = ", ".join(repr(piece) for piece in displayed(tokenizer, ids))
    raise TokenError(
        f"A target must be exactly one token; {word!r} is {len(ids)}: [{pieces}]. "
        "Give one of these pieces, with its leading space if it has one."
    )
