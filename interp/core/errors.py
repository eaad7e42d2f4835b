"""Every error a user can cause. The text says what is needed, what was given, and what to do."""

import difflib
from collections.abc import Iterable

LONGEST = 1_800
"""Bytes of an error's text: a value of a foreign file that stands in it can have any length."""


class InterpError(Exception):
    """The kin of all errors that a user can cause; anything else is a bug.

    A text beyond `LONGEST` bytes of UTF-8 is cut in its middle.
    """

    def __init__(self, *values: object) -> None:
        super().__init__(*(_cut(each) if isinstance(each, str) else each for each in values))


class ShapeError(InterpError, ValueError):
    """A tensor does not have the shape that was needed."""


class HookNameError(InterpError, LookupError):
    """A name matches no hook point of the model."""


class TokenError(InterpError, ValueError):
    """Text or ids that the tokenizer or the model's context cannot take."""


class ModelMismatchError(InterpError, ValueError):
    """Something made for one model was given to another."""


class ReadoutError(InterpError, RuntimeError):
    """A tool's reading does not reproduce the model's own logits."""


class NonFiniteError(InterpError, ArithmeticError):
    """A model or an edit makes numbers that are not finite, of which nothing can be measured."""


class NotEnoughDataError(InterpError, ValueError):
    """Too few examples for the number that was asked for."""


class CheckpointError(InterpError, OSError):
    """A file of a model, run or result is missing, damaged or foreign."""


class ConfigError(InterpError, ValueError):
    """A setting, or a combination of settings, that cannot be used."""


class WorldError(InterpError, ValueError):
    """Text that a world cannot have told, or a question it cannot answer."""


class TrainingError(InterpError, RuntimeError):
    """A training run that cannot go on: it diverged, is locked, or lost a rank."""


def _cut(text: str) -> str:
    content = text.encode(errors="backslashreplace")
    if len(content) <= LONGEST:
        return text
    start, end = content[: LONGEST // 2 - 2], content[2 - LONGEST // 2 :]
    return f"{start.decode(errors='ignore')}…{end.decode(errors='ignore')}"


def first_line(error: BaseException, length: int = 300) -> str:
    """What another library says of a file, as a clause of a sentence; its kind where it is silent.

    Example:
        >>> first_line(ValueError("No such key.\\nCheck it.")), first_line(KeyError())
        ('No such key.', 'KeyError')
    """
    lines = str(error).strip().splitlines()
    return lines[0][:length] if lines else type(error).__name__


def near_misses(name: str, known: Iterable[str], count: int = 3) -> str:
    """A clause ' Did you mean …?' with the closest known names, or the known names themselves.

    Example:
        >>> near_misses("resid_pos", ["resid_pre", "resid_post", "pattern"])
        " Did you mean 'resid_post', 'resid_pre'?"
    """
    known = list(dict.fromkeys(known))
    close = difflib.get_close_matches(str(name), known, n=count, cutoff=0.6)
    if close:
        return f" Did you mean {', '.join(map(repr, close))}?"
    names = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
    return f" Known: {names}." if known else ""
