"""A box for one word: what the model cannot read is refused beside the box, and the page stays."""

from typing import Any

import streamlit as st

from dashboards.page.link import linked
from dashboards.page.markdown import plain
from interp.core.errors import TokenError
from interp.core.protocols import LanguageModel
from interp.methods.prompts import single_tokens


def one_word(model: LanguageModel, label: str, key: str, **widget: Any) -> str:
    """A word that is one token, with or without the space before it; empty where none is.

    Args:
        model: whose token it must be.
        label: of the box.
        key: of the box; its name in the address.
        widget: more options of `st.text_input`.
    """
    text = linked(st.text_input, label, key=key, **widget) or ""
    if not text.strip():
        return ""
    try:
        single_tokens(model.tokenizer, [text])
    except TokenError as error:
        count = len(text.split())
        one = f"{label} takes one word; got {count}. Give one of them."
        st.warning(plain(one if count > 1 else str(error)), icon=":material/spellcheck:")
        return ""
    return text
