"""Whether bytes are plain UTF-8 text, and what to do with those that are not.

The first bytes tell a file's kind whatever it is called. Knows nothing of files.
"""

_PACKED = {
    b"\x1f\x8b": ("packed by gzip", "gunzip --keep FILE"),
    b"BZh": ("packed by bzip2", "bunzip2 --keep FILE"),
    b"\xfd7zXZ\0": ("packed by xz", "unxz --keep FILE"),
    b"\x28\xb5\x2f\xfd": ("packed by zstd", "unzstd FILE"),
    b"PK\x03\x04": ("a zip (or an office document)", "unzip FILE, or save the document as text"),
}
_WIDE = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
ENOUGH = 4096
"""How many first bytes are looked at."""


def other_than_text(start: bytes) -> str:
    """What a file is and how to make text of it, as the end of a sentence; empty for text.

    Args:
        start: the file's first bytes, `ENOUGH` of them or all.

    Example:
        >>> other_than_text("Anna".encode("utf-16"))
        'it is UTF-16. Convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW_FILE'
        >>> other_than_text(b"Anna")
        ''
    """
    for mark, (kind, advice) in _PACKED.items():
        if start.startswith(mark):
            return f"it is {kind}. Unpack it first: {advice}"
    kind = next((kind for mark, kind in _WIDE.items() if start.startswith(mark)), _unmarked(start))
    if kind:
        return f"it is {kind}. Convert it: iconv -f {kind} -t UTF-8 FILE > NEW_FILE"
    if b"\0" in start[:ENOUGH]:
        place = start.index(b"\0")
        return f"byte {place} is zero, so it is no text. Name a text file, or take the byte out."
    return ""


def half_characters(text: str) -> str:
    """A clause that shows the first half of a surrogate pair without its other half; else empty.

    JSON can hold one (an emoji that was cut: `"\\\\ud83d"`), UTF-8 cannot.

    Example:
        >>> half_characters("a \\ud83d b"), half_characters("a b")
        ("half a surrogate pair, '\\\\ud83d', at character 2", '')
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        sign = ascii(text[error.start])
        return f"half a surrogate pair, {sign}, at character {error.start}"
    return ""


def _unmarked(start: bytes) -> str:
    """UTF-16 without its mark: every second byte of Latin letters is zero."""
    even, odd = start[0:ENOUGH:2], start[1:ENOUGH:2]
    if len(odd) < 2:
        return ""
    zeros = even.count(0) / len(even), odd.count(0) / len(odd)
    if zeros[1] > 0.4 and zeros[0] < 0.1:
        return "UTF-16LE"
    return "UTF-16BE" if zeros[0] > 0.4 and zeros[1] < 0.1 else ""
