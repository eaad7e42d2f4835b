"""The user's own text: `.txt` and `.jsonl` files read in chunks, whatever their size."""

import codecs
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from interp.core.errors import ConfigError, NotEnoughDataError, TokenError
from interp.core.plain_text import ENOUGH, half_characters, other_than_text
from interp.training.data.packing import CorpusDocument

ENDINGS = (".txt", ".jsonl")
_CHUNK_BYTES = 2**20
_MOST_CHARACTERS = 2**20
_ENOUGH_DOCUMENTS = 20


@dataclass(frozen=True, kw_only=True)
class HoldoutSplit:
    """How the held-out text is cut off.

    Attributes:
        by: what is held out: whole documents, or the tail of each file.
        held_out: share of the documents, or of each file's bytes, that is held out.
        separator: text between the documents of a `.txt` file; None = one document a file.
    """

    by: Literal["document", "tail"]
    held_out: float
    separator: str | None = None

    @classmethod
    def plan(
        cls,
        files: Sequence[Path],
        by: Literal["auto", "document", "tail"],
        held_out: float,
        separator: str | None,
    ) -> "HoldoutSplit":
        """Settle `auto`: by document where there are enough of them.

        Raises:
            ConfigError: `by` is none of the three.
        """
        if by == "auto":
            begun = (d for path in files for d in _file(path, separator, None) if d.begins)
            enough = len(list(islice(begun, _ENOUGH_DOCUMENTS))) == _ENOUGH_DOCUMENTS
            by = "document" if enough else "tail"
        if by not in ("document", "tail"):
            raise ConfigError(f"Text is held out by 'document', 'tail' or 'auto'; got {by!r}.")
        return cls(by=by, held_out=held_out, separator=separator)

    def holds_out(self, number: int) -> bool:
        """Whether document `number` is held out: evenly spread, so the share is exact."""
        return int((number + 1) * self.held_out) > int(number * self.held_out)

    def span(self, path: Path, split: str) -> tuple[int, int]:
        """The bytes of a file that belong to a split, cut between two characters."""
        size = path.stat().st_size
        if self.by == "document":
            return 0, size
        cut = _next_character(path, int(size * (1 - self.held_out)))
        return (0, cut) if split == "train" else (cut, size)


def text_files(source: str | Path) -> list[Path]:
    """The text files at a path, in the order of their names.

    Raises:
        NotEnoughDataError: there is none.
        ConfigError: nothing is there, or a file of another kind.
        TokenError: a file is packed, of another encoding, or no text, by its first bytes.
    """
    source = Path(source)
    if not source.exists():
        raise ConfigError(
            f"Training needs a text file or a folder of them; {source} does not exist."
        )
    files = [source] if source.is_file() else _in_folder(source)[0]
    if not files:
        raise NotEnoughDataError(
            f"The folder {source} must hold {' or '.join(ENDINGS)} files; it has none. Rename "
            "your files, or name one of them."
        )
    for path in files:
        _refuse_other_kinds(path)
    return files


def passed_over(source: str | Path) -> list[str]:
    """Names of the files of a folder that are no text files by their ending; of a file, none."""
    source = Path(source)
    return [str(path.relative_to(source)) for path in _in_folder(source)[1]]


def _in_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """The text files and the others, both in the order of their names; hidden ones are neither."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    texts = [path for path in files if path.suffix.lower() in ENDINGS]
    visible = (p for p in files if not any(n.startswith(".") for n in p.relative_to(folder).parts))
    return texts, [path for path in visible if path.suffix.lower() not in ENDINGS]


def _refuse_other_kinds(path: Path) -> None:
    with path.open("rb") as file:
        wrong = other_than_text(file.read(ENOUGH))
    if wrong:
        raise TokenError(f"{path} must be UTF-8 text; {wrong}")


def text_documents(
    files: Iterable[Path], cut: HoldoutSplit, split: str
) -> Iterator[CorpusDocument]:
    """The documents of one split; a long one comes in several pieces.

    Raises:
        TokenError: a file is not UTF-8, or not JSON; says where.
    """
    number = -1
    for path in files:
        for document in _file(path, cut.separator, cut.span(path, split)):
            number += document.begins
            held_out = cut.by == "document" and cut.holds_out(number)
            if cut.by == "tail" or held_out == (split != "train"):
                yield document


def read_documents(source: str | Path, *, separator: str | None = "<|endoftext|>") -> Iterator[str]:
    """Every document of a file or folder, whole.

    Raises:
        NotEnoughDataError: there is no text.
        ConfigError: nothing is there.
        TokenError: a file is not UTF-8, or not JSON; says where.
    """
    text, begun = "", False
    for path in text_files(source):
        for document in _file(path, separator, None):
            if document.begins and begun:
                yield text
                text = ""
            text, begun = text + document.text, True
    if not begun:
        raise NotEnoughDataError(f"A corpus needs text; {source} is empty. Give a file with text.")
    yield text


def _file(
    path: Path, separator: str | None, span: tuple[int, int] | None
) -> Iterator[CorpusDocument]:
    start, end = span or (0, path.stat().st_size)
    if path.suffix.lower() == ".jsonl":
        return _lines(path, start, end)
    return _separated(_chunks(path, start, end), separator)


def _chunks(path: Path, start: int, end: int) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        file.seek(start)
        while start < end or decoder.getstate()[0]:
            raw = file.read(min(_CHUNK_BYTES, end - start))
            pending = len(decoder.getstate()[0])
            try:
                text = decoder.decode(raw, final=not raw or start + len(raw) >= end)
            except UnicodeDecodeError as error:
                raise _not_utf8(path, start - pending + error.start) from None
            yield text.removeprefix("\ufeff") if start == 0 else text
            start += len(raw)
            if not raw:
                return


def _separated(chunks: Iterable[str], separator: str | None) -> Iterator[CorpusDocument]:
    text, begins = "", True
    for chunk in chunks:
        text += chunk
        *whole, text = text.split(separator) if separator else [text]
        for piece in whole:
            if piece.strip() or not begins:
                yield CorpusDocument(text=piece, begins=begins)
            begins = True
        if len(text) > _MOST_CHARACTERS:
            cut = _gap(text, spare=len(separator or ""))
            yield CorpusDocument(text=text[:cut], begins=begins)
            text, begins = text[cut:], False
    if text.strip() or (text and not begins):
        yield CorpusDocument(text=text, begins=begins)


def _lines(path: Path, start: int, end: int) -> Iterator[CorpusDocument]:
    with path.open("rb") as file:
        offset = 0
        for number, raw in enumerate(file, 1):
            if start <= offset < end and raw.strip():
                text = _field(path, number, offset, raw)
                if text:
                    yield CorpusDocument(text=text)
            offset += len(raw)


def _field(path: Path, number: int, offset: int, raw: bytes) -> str:
    try:
        row = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise _not_utf8(path, offset + error.start) from None
    except (ValueError, RecursionError) as error:
        raise TokenError(
            f"Each line of {path} must be JSON; line {number} (byte {offset}) is not ({error}). "
            "Correct the line."
        ) from None
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise TokenError(
            f"Each line of {path} must be an object with a string `text`; line {number} (byte "
            f"{offset}) is not. Correct the line."
        )
    if half := half_characters(row["text"]):
        raise TokenError(
            f"Each line of {path} must hold whole characters; line {number} (byte {offset}) has "
            f"{half} of its text. Correct the line."
        )
    return row["text"]


def _not_utf8(path: Path, offset: int) -> TokenError:
    return TokenError(
        f"{path} must be UTF-8 text; byte {offset} is not. Convert the file: "
        "`iconv -f latin1 -t utf-8` if it is Latin-1."
    )


def _gap(text: str, spare: int) -> int:
    """Where to cut a long text so that no word is cut: after a line's end, or before a space."""
    end = len(text)
    while (end := text.rfind("\n", 0, end)) > 0:
        if not text[end + 1 : end + 2].isspace() and end + 1 < len(text):
            return end + 1
    space = text.rfind(" ")
    return space if space > 0 else len(text) - spare


def _next_character(path: Path, offset: int) -> int:
    with path.open("rb") as file:
        file.seek(offset)
        following = file.read(4)
    inside = next((i for i, byte in enumerate(following) if byte & 0xC0 != 0x80), 0)
    return offset + inside
