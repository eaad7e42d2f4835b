"""Two texts side by side, sampled with the same random numbers, and how they differ."""

import json
import time
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

import streamlit as st

from dashboards.components.coloured_text import coloured_text
from dashboards.page import measurements, result_card
from dashboards.page.markdown import plain
from interp.analyses.interventions.continuation import Candidates, Continuation
from interp.core.display import percent
from interp.core.edits import Edit
from interp.core.protocols import LanguageModel
from interp.results.provenance import describe_model, record

BASE, STEERED = "Unsteered", "Steered"
SECONDS = 0.1
WRITTEN = "written_pair"


def pair(
    model: LanguageModel, prompt: str, edits: Sequence[Edit], options: dict[str, Any], title: str
) -> Continuation:
    """Stream both texts, then show where and how much they diverge.

    Args:
        model: to steer.
        prompt: to continue.
        edits: on the second text.
        options: of `model.generate`.
        title: of the figure in the report.
    """
    slot = st.empty()
    call = json.dumps([describe_model(model), prompt, record(list(edits)), options])
    if st.session_state.get(WRITTEN) != call:
        with slot.container():
            _write(model, prompt, edits, options)
    result = measurements.measured("continuation", model, prompt=prompt, edits=edits, **options)
    st.session_state[WRITTEN] = call
    with slot.container():
        result_card.show(result, title, picture=lambda: _columns(result))
    return result


def _write(
    model: LanguageModel, prompt: str, edits: Sequence[Edit], options: dict[str, Any]
) -> None:
    """Fill both columns while the tokens are drawn."""
    slots = []
    for column, name in zip(st.columns(2), (BASE, STEERED), strict=True):
        column.markdown(f"**{name}**")
        slots.append(column.container(border=True).empty())
    last_drawn = 0.0
    for texts in growing(model, prompt, edits, options):
        if time.monotonic() - last_drawn > SECONDS:
            last_drawn = time.monotonic()
            for slot, text in zip(slots, texts, strict=True):
                slot.text(text + " ▌")


def growing(
    model: LanguageModel, prompt: str, edits: Sequence[Edit], options: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    """The unedited and the edited text, a token longer each time."""
    streams = (
        model.stream(prompt, **options, top=0),
        model.stream(prompt, edits=edits, **options, top=0),
    )
    ids: tuple[list[int], list[int]] = ([], [])
    for rows in zip_longest(*streams):
        for row, mine in zip(rows, ids, strict=True):
            if row is not None and row[0] is not None:
                mine.append(row[0].token)
        yield tuple(model.tokenizer.decode(mine) for mine in ids)


def _columns(result: Continuation) -> None:
    top = max(0.5, *result.kl_nats.tolist(), *result.base_kl_nats.tolist())
    scale = {"unit": "KL(edited ‖ unedited) before the token (nats)", "low": 0.0, "high": top}
    texts = (
        ("base", BASE, result.base_tokens, result.base_kl_nats, _base_labels(result)),
        ("steered", STEERED, result.steered_tokens, result.kl_nats, _steered_labels(result)),
    )
    for column, (key, name, tokens, values, labels) in zip(st.columns(2), texts, strict=True):
        column.markdown(f"**{name}**")
        with column.container(border=True):
            coloured_text(
                tokens, values, labels=labels, **scale, key=f"{key}_text",
                name=f"The {name.lower()} text", show_legend=False,
            )  # fmt: skip
    words = f"the edit changes the prediction at this token (KL, 0 to {top:.2g} nats)"
    st.caption(
        plain(f"Colour: how much {words}. Point at a token for its candidates before and after.")
    )


def _base_labels(result: Continuation) -> list[str]:
    rows = zip(result.base_tokens, result.base_kl_nats, result.base_log_prob_nats, strict=True)
    return [f"{token}\nKL\t{kl:.3f} nats\nloss\t{-chance:.2f} nats" for token, kl, chance in rows]


def _steered_labels(result: Continuation) -> list[str]:
    columns = result.steered_tokens, result.kl_nats, result.log_prob_nats
    return [
        f"{token}\nKL\t{kl:.3f} nats\nunedited loss\t{-chance:.2f} nats"
        f"\nbefore\t{_listed(result.before, i)}\nafter\t{_listed(result.after, i)}"
        for i, (token, kl, chance) in enumerate(zip(*columns, strict=True))
    ]


def _listed(candidates: Candidates, i: int) -> str:
    return "  ".join(f"{token} {percent(chance)}" for token, chance in candidates[i])
