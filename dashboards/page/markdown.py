"""Text of models and users, escaped so that Streamlit's Markdown shows it as it stands."""

import re

_SIGNS = re.compile(r"([!-/:-@\[-`{-~])")
_PAIRS = re.compile(r"(\\:(?=[a-zA-Z+])|\\-(?=\\[->])|\\<(?=\\-)|www(?=\\\.)|\\@(?=\w))")
_JOINER = "\u2060"


def plain(text: str) -> str:
    """The text with nothing left that Markdown takes as markup, link, picture, formula or emoji.

    Every sign is escaped; where a pair of signs would be read even so (`:smile:`, `->`, `www.`),
    an invisible joiner parts it.

    Example:
        >>> print(plain("<b>"))
        \\<b\\>
    """
    escaped = _PAIRS.sub(rf"\1{_JOINER}", _SIGNS.sub(r"\\\1", text))
    return re.sub(r"\r\n|\r|\n", "  \n", escaped)
