"""Texts as an analysis reads them: as rows of ids, for display, and as one-token words."""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from interp.core.errors import ModelMismatchError, ShapeError, TokenError
from interp.core.protocols import LanguageModel, Prompt, Tokenizer

BEFORE_SPACE = tuple(".,;:!?)")


def one_row(model: LanguageModel, prompt: Prompt) -> Int[Tensor, "1 pos"]:
    """The ids of a single prompt, as the model is fed them.

    Raises:
        ShapeError: more than one row came.
        TokenError: the prompt is empty, too long, or cannot be encoded, or ids came that the
            model's tokenizer does not have.
    """
    tokens, _ = model.to_tokens(prompt)
    if (highest := int(tokens.max())) >= model.tokenizer.d_vocab:
        raise TokenError(
            f"Ids must lie in 0 … {model.tokenizer.d_vocab - 1}; got {highest}. Is the text from "
            "another model's tokenizer?"
        )
    if tokens.shape[0] != 1:
        raise ShapeError(
            f"This instrument needs one prompt; got {tokens.shape[0]}. Call it once for each."
        )
    return tokens


def displayed(tokenizer: Tokenizer, ids: Sequence[int]) -> tuple[str, ...]:
    """One printable string a token, for people only."""
    return tuple(tokenizer.display(list(ids)))


def single_tokens(tokenizer: Tokenizer, words: Sequence[str]) -> list[int]:
    """The id of each word, which must be one token: as typed, or with or without a space before it.

    Raises:
        TokenError: a word is several tokens in either form (its pieces are shown), or unknown.
    """
    return [_single_token(tokenizer, word) for word in words]


def continuation_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of what follows a text, in the form that the tokenizer has.

    Args:
        tokenizer: any; some put a space before whatever they read, which is then the one typed.
        text: as typed.
    Raises:
        TokenError: a word or character is not in the vocabulary.
    """
    forms = [text, text.removeprefix(" ")]
    rows = (tokenizer.encode(form, bos=False) for form in forms)
    exact = (row for row in rows if b"".join(tokenizer.pieces(row)) == text.encode())
    return next(exact, None) or tokenizer.encode(text, bos=False)


def answer_ids(tokenizer: Tokenizer, prompt: str | Sequence[int], text: str) -> list[int]:
    """The ids of an answer as it goes on from a prompt: "Paris" after "France is" is " Paris".

    An answer that begins with a letter or digit, after a letter, digit or one of `.,;:!?)`, has the
    space that parts it from the prompt, unless the tokenizer needs more tokens for it so (endings
    as "ization", single characters, scripts without spaces) or digits go on with digits: then, and
    anywhere else, it is read as typed. What cannot be read in the one form is read in the other.

    Args:
        tokenizer: any.
        prompt: what the answer follows: text, or ids.
        text: the answer as typed; with a space before it, it keeps it.
    Raises:
        TokenError: a word or character is in the vocabulary in neither form.
    """
    before = prompt if isinstance(prompt, str) else tokenizer.decode(list(prompt))
    exact, other = _encoded(tokenizer, text), _encoded(tokenizer, _other_form(text))
    is_apart = before[-1:].isalnum() or before.endswith(BEFORE_SPACE)
    if text[:1].isdigit() and before.rstrip(".,:")[-1:].isdigit():  # 19|45, 3.|14, 12:|30
        is_apart = False
    if is_apart and text[:1].isalnum() and exact and other and len(other[0]) <= len(exact[0]):
        return other[0]
    return next(iter(exact + other), None) or continuation_ids(tokenizer, text)


def answer_token(tokenizer: Tokenizer, prompt: str | Sequence[int], text: str) -> int:
    """The id of an answer that must be one token, read as `answer_ids` does where that is one.

    Raises:
        TokenError: it is several tokens in either form (its pieces are shown), or unknown.
    """
    ids = answer_ids(tokenizer, prompt, text)
    return ids[0] if len(ids) == 1 else _single_token(tokenizer, text)


def shuffled_rows(rows: Sequence[Sequence[int]], seed: int) -> list[list[int]]:
    """Each row with everything after its first token in random order: a control.

    Args:
        rows: ids of each text.
        seed: of the orders, which are drawn one after the other.
    """
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(row) - 1, generator=generator).tolist() for row in rows]
    pairs = zip(rows, orders, strict=True)
    return [[row[0], *(row[1 + i] for i in order)] for row, order in pairs]


def text_ids(model: LanguageModel, texts: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Each text as this model's tokens.

    Raises:
        TokenError: a text cannot be encoded.
    """
    return tuple(tuple(model.tokenizer.encode(text)) for text in texts)


def refuse_other_split(model: LanguageModel, first: LanguageModel, texts: Sequence[str]) -> None:
    """Refuse a model that splits text otherwise: a loss per token is then of something else.

    Args:
        model: to compare.
        first: to compare it with.
        texts: that both will read.
    Raises:
        ModelMismatchError: they split one of the texts otherwise.
    """
    splits = ([m.tokenizer.encode_with_spans(t)[1] for t in texts] for m in (model, first))
    if next(splits) != next(splits):
        raise ModelMismatchError(
            f"Losses per token compare only where text is split alike; {model.name} splits it "
            f"otherwise than {first.name}. Compare models of one tokenizer."
        )


def _single_token(tokenizer: Tokenizer, word: str) -> int:
    for form in (*_encoded(tokenizer, word), *_encoded(tokenizer, _other_form(word))):
        if len(form) == 1:
            return form[0]
    ids = continuation_ids(tokenizer, word)
    pieces = ", ".join(repr(piece) for piece in displayed(tokenizer, ids))
    raise TokenError(
        f"A target must be exactly one token; {word!r} is {len(ids)}: [{pieces}]. "
        "Give one of these pieces, with its leading space if it has one."
    )


def _other_form(text: str) -> str:
    """Without the space before it, or with one."""
    return text[1:] if text.startswith(" ") else f" {text}"


def _encoded(tokenizer: Tokenizer, text: str) -> list[list[int]]:
    """The text's ids, if there are any."""
    try:
        return [continuation_ids(tokenizer, text)]
    except TokenError:
        return []
