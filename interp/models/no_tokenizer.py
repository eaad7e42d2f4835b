"""What stands where a model has no tokenizer: ids are shown by number, and text is refused."""

from collections.abc import Sequence
from typing import NoReturn

from interp.core.errors import TokenError


class NoTokenizer:
    """The `tokenizer` of a model that has none: every instrument reads its ids and shows `#7`.

    Example:
        >>> NoTokenizer(10).display([7, 3])
        ['#7', '#3']
    """

    bos_token_id: int | None = None
    eos_token_ids: tuple[int, ...] = ()
    hash = ""

    def __init__(self, d_vocab: int) -> None:
        self.d_vocab = d_vocab

    def with_bos(self, adds_bos: bool | None) -> "NoTokenizer":
        """Itself: there is no text to put a token before."""
        return self

    def encode(self, text: str, *, bos: bool = True) -> NoReturn:
        """Refused: there is nothing to encode with.

        Raises:
            TokenError: always.
        """
        raise TokenError(
            f"Text needs a tokenizer, and this model has none; got {text[:40]!r}. Give token ids "
            "where a prompt is asked for, or make the model with one: GPT(cfg, tokenizer)."
        )

    encode_with_spans = encode

    def encode_batch(self, texts: Sequence[str], *, bos: bool = True) -> NoReturn:
        """Refused: there is nothing to encode with.

        Raises:
            TokenError: always.
        """
        self.encode(next(iter(texts), ""))

    def decode(self, ids: Sequence[int]) -> str:
        """No text: ids without a tokenizer spell nothing."""
        return ""

    def pieces(self, ids: Sequence[int]) -> list[bytes]:
        """No bytes, for each id."""
        return [b""] * len(ids)

    def display(self, ids: Sequence[int]) -> list[str]:
        """The numbers of the ids."""
        return [f"#{int(token)}" for token in ids]
