"""How text is shown to people: one printable string a token, and the one way to escape it."""

import html
import unicodedata

_SIGNS = {" ": "·", "\n": "⏎", "\t": "⇥", "\r": "␍"}


def display_token(piece: bytes) -> str:
    """One printable string for a token's bytes; for people only, never count or join these.

    Spaces show as `·`, line ends as `⏎`; bytes that are no whole character, control characters
    and direction marks show as escapes; a combining mark stands on a dotted circle.

    Example:
        >>> display_token(b" garden"), display_token(b"\\xe2\\x98"), display_token(b"\\x1b")
        ('·garden', '\\\\xe2\\\\x98', '\\\\x1b')
    """
    text = piece.decode("utf-8", errors="backslashreplace")
    printable = "".join(_sign(character) for character in text)
    return "◌" + printable if text and unicodedata.combining(text[0]) else printable


def escape_html(text: str) -> str:
    """The text with everything escaped that HTML, or Plotly's labels, would take as markup.

    Example:
        >>> escape_html('<b>"&"</b>')
        '&lt;b&gt;&quot;&amp;&quot;&lt;/b&gt;'
    """
    return html.escape(text, quote=True)


def _sign(character: str) -> str:
    if character in _SIGNS:
        return _SIGNS[character]
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")
