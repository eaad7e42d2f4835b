"""A person's own table of labelled texts: read, checked, and laid onto a model's tokens.

Columns `text` and `label`; perhaps `word` (read at the end of its first occurrence) or `start` and
`end` (characters; read at the last of them), else the end of the text is read; perhaps `group`:
rows of one group are never parted between training and test. Comma, semicolon or tab, or JSON
lines. Every refusal names the row.
"""

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from interp.core.alignment import Span, last_token
from interp.core.errors import ConfigError, NotEnoughDataError, TokenError
from interp.core.plain_text import half_characters, other_than_text
from interp.core.protocols import Tokenizer

MOST_BYTES = 5_000_000
MOST_ROWS = 20_000
LONGEST_TEXT = 20_000
MOST_LABELS = 50
FEWEST_ROWS = 40
FEWEST_EACH = 4
FORM = 'a header with "text" and "label" (and perhaps "word", or "start" and "end", and "group")'


@dataclass(frozen=True, kw_only=True)
class LabelledText:
    """One labelled text.

    Attributes:
        number: the text's row; 1 = the first after the header, or the first line of JSON lines.
        text: the text as it stands in the file.
        label: the text's label, without the spaces around it.
        span: the characters whose last one is read.
        group: the text's group, whose rows stay together; empty = on its own.
    """

    number: int
    text: str
    label: str
    span: Span
    group: str = ""


def read_labelled(path: str | Path) -> list[LabelledText]:
    """The rows of a file of labelled texts.

    Args:
        path: CSV (comma, semicolon or tab), TSV or JSON lines, in UTF-8 (or UTF-16 with its mark).
    Raises:
        ConfigError: no such file, too large, not text, no such columns, or a row that does not fit;
            the row is named.
    """
    path = Path(path)
    content = _content(path)
    cells = _json_rows(content, path) if _is_json(content, path) else _table_rows(content, path)
    rows = [_row(fields, number, path) for number, fields in cells]
    if not rows:
        raise ConfigError(f"{path.name}: a table needs {FORM} and rows below it; got no row.")
    return rows


def label_counts(rows: Sequence[LabelledText]) -> dict[str, int]:
    """How many rows each label has, the commonest first.

    Example:
        >>> label_counts([LabelledText(number=1, text="a", label="x", span=(0, 1))])
        {'x': 1}
    """
    return dict(Counter(row.label for row in rows).most_common())


def check_labels(rows: Sequence[LabelledText]) -> None:
    """Refuse a table that no classifier could be trained and tested on.

    Raises:
        NotEnoughDataError: too few rows, one class, a class with next to no rows, or too many.
    """
    counts = label_counts(rows)
    few = [label for label, count in counts.items() if count < FEWEST_EACH]
    need = f"A probe needs {FEWEST_ROWS} rows of two labels or more"
    if len(counts) > MOST_LABELS:
        wrong = (
            f", at most {MOST_LABELS} labels; got {len(counts)}: is that column a class? For "
            "numbers there is `regression_probe`."
        )
    elif len(rows) < FEWEST_ROWS:
        wrong = f"; got {len(rows)}. Add rows."
    elif len(counts) < 2:
        wrong = f"; got {len(rows)} rows, all labelled {next(iter(counts))!r}. Add another label."
    elif few:
        wrong = (
            f", with {FEWEST_EACH} rows of each or more; {few[0]!r} has {counts[few[0]]}"
            f"{f' (and {len(few) - 1} more are as rare)' if few[1:] else ''}. Add rows of it, or "
            "take it out."
        )
    else:
        return
    raise NotEnoughDataError(f"{need}{wrong}")


def check_numbers(rows: Sequence[LabelledText]) -> list[float]:
    """The labels as numbers; refuse a table that no regression could be fitted and tested on.

    Raises:
        ConfigError: a label is no finite number; the row is named.
        NotEnoughDataError: too few rows, or all of one number.
    """
    numbers = [_number(row) for row in rows]
    need = f"A regression needs {FEWEST_ROWS} rows of two numbers or more"
    if len(rows) < FEWEST_ROWS:
        raise NotEnoughDataError(f"{need}; got {len(rows)}. Add rows.")
    if len(set(numbers)) < 2:
        raise NotEnoughDataError(
            f"{need}; got {len(rows)} rows, all labelled {rows[0].label!r}. Add another number."
        )
    return numbers


def _number(row: LabelledText) -> float:
    try:
        number = float(row.label)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(
            f"Row {row.number}: a regression needs a number as label; got {row.label!r}. Write it "
            "with a decimal point, or use `probe` for classes."
        )
    return number


def place_rows(
    rows: Sequence[LabelledText], tokenizer: Tokenizer, max_tokens: int
) -> list[tuple[list[int], int]]:
    """Each row's tokens, and which of them is read.

    Args:
        rows: of `read_labelled`.
        tokenizer: of the model that will read them.
        max_tokens: the model's context.
    Raises:
        TokenError: a text that the tokenizer does not know, or that is longer than the context up
            to the place that is read; the row is named.
    """
    placed = []
    for row in rows:
        try:
            ids, spans = tokenizer.encode_with_spans(row.text)
            place = last_token(spans, row.span)
        except TokenError as error:
            raise TokenError(f"Row {row.number}: {error}") from error
        if place >= max_tokens:
            raise TokenError(
                f"Row {row.number}: this model reads {max_tokens} tokens; the place to be read is "
                f"token {place + 1:,}. Shorten the text, or leave the row out."
            )
        placed.append((ids, place))
    return placed


def _content(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise ConfigError(
                f"{path.name}: a table needs to be of at most {MOST_BYTES // 10**6} MB; got "
                f"{size / 10**6:.1f} MB. Take a part of the rows."
            )
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"Labels need a file that can be read; {path}: {error}.") from error
    wide = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        content = raw.decode("utf-16" if wide else "utf-8-sig")
        wrong = "" if wide else other_than_text(raw)
    except UnicodeDecodeError as error:
        wrong = other_than_text(raw) or (
            f"byte {error.start:,} is not. Save it again as 'CSV UTF-8'."
        )
    if wrong:
        raise ConfigError(f"{path.name}: a table needs to be text in UTF-8; {wrong}")
    return content


def _is_json(content: str, path: Path) -> bool:
    table = path.suffix.lower() in (".csv", ".tsv")
    return not table and (path.suffix.lower() in (".jsonl", ".ndjson", ".json")
                          or content.lstrip()[:1] in ("{", "["))  # fmt: skip


def _table_rows(content: str, path: Path) -> Iterator[tuple[int, Mapping]]:
    header = content.partition("\n")[0]
    marks = [mark for mark in ",;\t" if {"text", "label"} <= set(_names(header, mark))]
    if not marks:
        raise ConfigError(
            f"{path.name}: the first line must be {FORM}, parted by commas, semicolons or tabs; "
            f"it is {header.strip()[:60]!r}."
        )
    lines = csv.reader(io.StringIO(content, newline=""), delimiter=marks[0])
    try:
        names = [name.strip().lower() for name in next(lines)]
        filled = (cells for cells in lines if any(cell.strip() for cell in cells))
        for number, cells in enumerate(filled, 1):
            if len(cells) > len(names):
                raise ConfigError(
                    f"{path.name}, row {number}: the header needs {len(names)} cells; got "
                    f"{len(cells)}. Put texts that hold {marks[0]!r} in double quotes."
                )
            yield number, dict(zip(names, cells, strict=False))
    except csv.Error as error:
        raise ConfigError(f"{path.name}: this is no table: {error}.") from error


def _names(header: str, mark: str) -> list[str]:
    return [name.strip().strip('"').lower() for name in header.split(mark)]


def _json_rows(content: str, path: Path) -> Iterator[tuple[int, Mapping]]:
    # Only "\n" parts lines: other signs that look like line ends may stand inside a text.
    lines = (line for line in content.split("\n") if line.strip())
    for number, line in enumerate(lines, 1):
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):  # Numbers of 5,000 digits are no JSONDecodeError.
            fields = None
        if not isinstance(fields, dict):
            raise ConfigError(
                f'{path.name}, row {number}: each line needs to be an object, {{"text": …, '
                f'"label": …}}; got {line.strip()[:60]!r}.'
            )
        yield number, fields


def _row(fields: Mapping, number: int, path: Path) -> LabelledText:
    place = f"{path.name}, row {number}"
    if number > MOST_ROWS:
        raise ConfigError(f"{path.name}: at most {MOST_ROWS:,} rows can be read; there are more.")
    text, label = fields.get("text"), fields.get("label")
    missing = [name for name, v in (("text", text), ("label", label)) if not _text(v).strip()]
    if missing or not isinstance(text, str):
        wrong = " and ".join(missing) or "text (it is no text)"
        raise ConfigError(
            f'{place}: each row needs "text" and "label"; {wrong} is missing. Fill it in, or leave '
            "the row out."
        )
    for name, value in fields.items():
        if half := half_characters(_text(value)):
            raise ConfigError(f"{place}: {name} has {half}. Correct it, or leave the row out.")
    if len(text) > LONGEST_TEXT:
        raise ConfigError(
            f"{place}: a text needs to be of at most {LONGEST_TEXT:,} characters; got "
            f"{len(text):,}. Shorten it, or leave the row out."
        )
    span, group = _span(fields, text, place), _text(fields.get("group")).strip()
    return LabelledText(
        number=number, text=text, label=_text(label).strip(), span=span, group=group
    )


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _span(fields: Mapping, text: str, place: str) -> Span:
    if word := _text(fields.get("word")).strip():
        match = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)
        if match is None:
            raise ConfigError(f"{place}: the word {word!r} does not stand in the text.")
        return match.span()
    try:
        start = int(_text(fields.get("start")) or 0)
        end = int(_text(fields.get("end")) or len(text))
    except ValueError as error:
        raise ConfigError(f"{place}: start and end must be whole numbers: {error}.") from error
    if not 0 <= start < end <= len(text):
        raise ConfigError(
            f"{place}: start and end must be characters of the text, which has {len(text)}; got "
            f"{start} and {end}."
        )
    return start, end
