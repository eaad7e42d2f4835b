"""Plain paragraphs to HTML: empty lines part them, `- ` items, `## ` headings, **bold**, `code`."""

import re

from interp.core.display import escape_html


def paragraphs(text: str) -> str:
    """HTML of the text; everything that is not one of the few marks is shown letter by letter.

    Example:
        >>> paragraphs("Is <b> **safe**?")
        '<p>Is &lt;b&gt; <strong>safe</strong>?</p>'
    """
    blocks = re.split(r"\n\s*\n", text.strip())
    return "\n".join(_block(block) for block in blocks if block)


def _block(block: str) -> str:
    lines = block.splitlines()
    if all(line.lstrip().startswith("- ") for line in lines):
        items = "".join(f"<li>{_inline(line.lstrip()[2:])}</li>" for line in lines)
        return f"<ul>{items}</ul>"
    if block.startswith("## ") and len(lines) == 1:
        return f"<h3>{_inline(block[3:])}</h3>"
    return f"<p>{_inline(' '.join(lines))}</p>"


def _inline(text: str) -> str:
    safe = escape_html(text)
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", safe)
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", safe)
