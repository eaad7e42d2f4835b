"""How text and shares are shown to people: a printable string a token, an honest percentage."""

import html
import math
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


def percent(share: float, digits: int | None = None) -> str:
    """A share or a probability, never as none or all where it is not: `0.4%`, `99.97%`.

    Args:
        share: 0 to 1 (or a change or an error, of either sign); of no number: `not known`.
        digits: after the point, more where these would show 0 or 100; none: one below 10 %.

    Example:
        >>> percent(0.4321), percent(0.0312), percent(0.00002), percent(0), percent(0.99996)
        ('43%', '3.1%', '0.002%', '0%', '99.996%')
        >>> percent(0.00002, 1), percent(0.4321, 1), percent(float("nan"))
        ('0.002%', '43.2%', 'not known')
    """
    share = float(share)
    if not math.isfinite(share):
        return "not known"
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    if digits is None:
        digits = 0 if abs(share) >= 0.0995 else 1
    text, value = f"{share:.{digits}%}", 100 * abs(share)
    if float(text[:-1]) == 0:
        return f"{100 * share:.2g}%"
    if abs(float(text[:-1])) == 100 and value != 100:
        # One digit more than the zeros of the distance: 0.04 away needs two.
        digits = math.ceil(-math.log10(abs(100 - value)))
        return f"{share:.{digits}%}" if digits <= 6 else f"about {text}"
    return text


def printable(text: str) -> str:
    """The text with control characters and direction marks as escapes; line ends stay.

    Example:
        >>> printable("a\\u202eb\\nc")
        'a\\\\u202eb\\nc'
    """
    return "".join(c if c == "\n" or c.isprintable() else _sign(c) for c in text)


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
