"""Passages of a run's own held-out text: what to read where no world tells stories."""

from contextlib import suppress
from itertools import groupby
from pathlib import Path

from interp.core.errors import InterpError
from interp.core.protocols import LanguageModel
from interp.runs.corpus import held_out_ids

LONGEST, SHORTEST = 256, 16
"""Tokens of a passage."""


def held_out_passages(model: LanguageModel, folder: Path | None, count: int) -> list[str]:
    """Passages at even distances in the text that a run was never trained on.

    A passage lies within one document and begins with a whole word. It is cut and read again as
    text, so its first and last token may differ from those in the corpus.

    Args:
        model: of the run.
        folder: the run's.
        count: how many passages at most; they do not overlap.
    Returns:
        The passages, two or more; none where the text is shorter, or is not there any more.
    """
    ids = held_out_ids(folder)
    width = min(model.cfg.n_ctx, LONGEST, len(ids) // 2)
    count = min(count, len(ids) // max(width, 1))
    if width < SHORTEST:
        return []
    step = (len(ids) - width) / max(count - 1, 1)
    rows = [ids[round(number * step) :][:width].tolist() for number in range(count)]
    with suppress(InterpError):
        passages = [text for i, row in enumerate(rows) if (text := _passage(model, row, i))]
        return passages if len(passages) > 1 else []
    return []  # the corpus is another tokenizer's


def _passage(model: LanguageModel, ids: list[int], number: int) -> str:
    """The longest stretch without special tokens, from a whole word on; empty if too short."""
    runs = groupby(ids, key=lambda number: model.tokenizer.pieces([number])[0] != b"")
    longest = max((list(group) for is_text, group in runs if is_text), key=len, default=[])
    text = model.tokenizer.decode(longest).strip("\ufffd")
    if number and longest[:1] == ids[:1]:  # in the middle of a document, perhaps of a word
        first = next((i for i, sign in enumerate(text) if sign.isspace()), 0)
        text = text[first:]
    return text if len(longest) >= SHORTEST // 2 and text.strip() else ""
