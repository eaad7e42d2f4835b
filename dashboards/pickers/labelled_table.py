"""A table of labelled texts that a reader uploads: stored, checked, and summarized before use."""

import os
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import streamlit as st

from dashboards.page.downloads import download_button
from dashboards.page.markdown import plain
from dashboards.pickers.choice import listed_choice
from interp.core.display import percent
from interp.core.protocols import LanguageModel
from interp.methods.data.labelled_table import (
    FEWEST_EACH,
    FEWEST_ROWS,
    MOST_BYTES,
    LabelledText,
    check_labels,
    label_counts,
    place_rows,
    read_labelled,
)
from interp.methods.data.ready_lists import LABELS, list_path, readable_lists
from interp.worlds.world import World

KINDS = ["csv", "tsv", "jsonl", "ndjson", "txt"]
HEAD, OWN = 5, "own"
OF_LISTS = (
    "Sentences in pairs that say the like in the other way, written for interp; no pair is parted "
    "between training and test. Both kinds are of equal length. A bag of words is right in 53 % of "
    "sentiment, 65 % of topic and 86 % of formality: a probe of meaning must beat that."
)
EXAMPLE_ROWS = 120
FORM = (
    "A table with the columns `text` and `label`: CSV, TSV or JSON lines in UTF-8. The probe reads "
    "the activations at the end of the text, or at the end of the word in an optional column "
    "`word`. Rows with the same value in an optional column `group` are never split between "
    "training and test."
)


def own_table(model: LanguageModel, world: World | None) -> Path | None:
    """Ask for a table, ready or uploaded, check it against the model, and show what it holds.

    Args:
        model: whose tokenizer has to know its words.
        world: whose texts make the example; None = one of the ready lists is.
    Returns:
        Where the table lies on this machine: a ready one, or one that came; None until then.
    Raises:
        ConfigError, TokenError, NotEnoughDataError: it cannot be used; the row is named.
    """
    ready = readable_lists(model.tokenizer)
    kind = OWN
    if ready:
        names = {name: f"{name.capitalize()}: {' or '.join(LABELS[name])}" for name in ready}
        kind = listed_choice("Table", {**names, OWN: "My own"}, "table_from")
    path = _uploaded(world, ready) if kind == OWN else list_path(kind)
    if path is None:
        return None
    rows = read_labelled(path)
    _summary(rows)
    check_labels(rows)
    place_rows(rows, model.tokenizer, model.cfg.n_ctx)
    if kind != OWN:
        download_button("The table", path.name, path.read_bytes())
        st.caption(OF_LISTS)
    return path


def _uploaded(world: World | None, ready: Sequence[str]) -> Path | None:
    """Where an uploaded table lies on this machine; None until one came."""
    st.markdown(FORM)
    uploaded = st.file_uploader(
        "Table of labelled texts", type=KINDS, key="table", max_upload_size=MOST_BYTES // 10**6
    )
    if world is not None:
        download_button("Example table", "moods.csv", lambda: example(world))
    elif ready:
        path = list_path(ready[0])
        download_button("Example table", path.name, path.read_bytes())
    if uploaded is None:
        st.info(
            f"Upload a table to train a probe on it: {FEWEST_ROWS} rows or more of two labels or "
            f"more, {FEWEST_EACH} of each. It stays on this machine.",
            icon=":material/table:",
        )
        return None
    return saved_upload(uploaded.name, uploaded.getvalue())


def saved_upload(name: str, content: bytes) -> Path:
    """The file on this machine, so that the Python on the page finds it; same bytes, same place.

    Of a name only letters, digits, `-`, `_` and the ending remain: it never leads elsewhere.
    """
    user = getattr(os, "getuid", lambda: 0)()
    folder = Path(tempfile.gettempdir(), f"interp-tables-{user}", sha256(content).hexdigest()[:16])
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest = Path(name.replace("\\", "/"))
    stem = "".join(c for c in digest.stem if c.isascii() and (c.isalnum() or c in "-_"))[:60]
    ending = digest.suffix.lower().removeprefix(".")
    path = folder / f"{stem or 'table'}.{ending if ending in KINDS else 'txt'}"
    if not path.exists() or path.read_bytes() != content:
        path.write_bytes(content)
    return path


def example(world: World) -> str:
    """A table of a world's own sentences: whose mood is which, read at the mood's cause."""
    lines, number = ["text,label"], 0
    variable = "mood" if "mood" in world.variables else next(iter(world.variables))
    while len(lines) <= EXAMPLE_ROWS and number < 10 * EXAMPLE_ROWS:
        story = world.sample(number, split="held_out")
        number += 1
        for fact in story.facts:
            if (fact.variable, fact.role) == (variable, "stated"):
                text = story.text[: fact.span[1]].replace('"', '""')
                lines.append(f'"{text}",{fact.value}')
                break
    return "\n".join(lines) + "\n"


def _summary(rows: list[LabelledText]) -> None:
    """The number of rows of each label, and the first rows."""
    counts = label_counts(rows)
    share = next(iter(counts.values())) / len(rows)
    words = f"{len(rows):,} rows, {len(counts)} labels; always answering the most common label is"
    st.markdown(plain(f"{words} right in {percent(share)} of them."))
    left, right = st.columns([2, 1])
    head = [{"text": row.text, "label": row.label, "group": row.group} for row in rows[:HEAD]]
    left.dataframe(head, hide_index=True, alt="The first rows of the table", key="table_head")
    balance = [{"label": label, "rows": count} for label, count in counts.items()]
    right.dataframe(balance, hide_index=True, alt="Rows of each label", key="table_balance")
