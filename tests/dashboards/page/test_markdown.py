"""Escaped words come out of a Markdown reader as they went in."""

import re
from html import unescape

from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from dashboards.page.markdown import plain

READER = MarkdownIt("gfm-like", {"linkify": False})
LETTERS = st.text(st.sampled_from("ab :*_`<>[]()!$#-+.|~&;\\@/^={}'\"1\u2603"), max_size=40)


@settings(deadline=None)
@given(LETTERS)
@example("<script>alert(1)</script>")
@example("![](http://example.org/x.png) **b** `c` $x$")
@example("1. one")
@example("&lt;b&gt;")
def test_nothing_is_markup(text):
    page = READER.render(plain(text))
    assert re.findall(r"<(?!/?p>)", page) == []
    escaped = unescape(re.sub(r"</?p>", "", page)).replace("\u2060", "")
    assert escaped.split() == text.split()


def test_pairs_that_are_read_even_when_escaped_are_parted():
    assert ":smile" not in plain(":smile:").replace("\\", "")
    assert "->" not in plain("->").replace("\\", "")
