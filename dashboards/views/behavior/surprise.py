"""The surprisal of each token of a text, and the lowest that any model could reach."""

import streamlit as st

from dashboards.components.coloured_text import coloured_text
from dashboards.page import header, measurements, result_card
from dashboards.pickers.choice import listed_choice
from interp.analyses.behavior.surprise import Surprise
from interp.core.display import percent
from interp.core.errors import WorldError
from interp.core.protocols import LanguageModel
from interp.plots.behavior.surprise import UNITS

TITLE, ICON, GROUP, PLACE = "Surprisal", ":material/bolt:", "Look inside", 10
VIEWS = {
    "loss": "Loss",
    "regret": "Regret: loss minus the floor",
    "floor": "Floor: the lowest loss any model could reach",
    "kinds": "By kind of word",
}


def render() -> None:
    """Draw the page."""
    what = "The loss of each token, and how much of it was unavoidable."
    model, entry, seed = header.begin_measuring(TITLE, what)
    text = header.prompt_input(model, entry, key="story", sentences=None)
    world = header.world_of(entry)
    try:
        result = measurements.measured(
            "surprise", model, text=text, world=world, **header.level_of(world), seed=seed
        )
    except WorldError:
        st.info(
            "The world cannot generate this text, so its floor is unknown.",
            icon=":material/info:",
        )
        result = measurements.measured("surprise", model, text=text, seed=seed)
    views = VIEWS if result.has_floor else {"loss": VIEWS["loss"]}
    view = listed_choice("Colour", views, "surprise_colour")
    picture = None if view == "kinds" else lambda: _draw(result, _unpredicted(model, text), view)
    result_card.show(result, VIEWS[view], picture=picture, view=view)


def _unpredicted(model: LanguageModel, text: str) -> str:
    """The first token, for display, where it is text: it has nothing to be predicted from."""
    ids, spans = model.tokenizer.encode_with_spans(text)
    start, end = spans[0]
    return model.tokenizer.display(ids[:1])[0] if end > start else ""


def _draw(result: Surprise, first: str, view: str) -> None:
    """The text as text; point at a token, or move with the arrow keys, for its numbers."""
    values = getattr(result, f"{view}_nats").tolist()
    labels = [token_label(result, i) for i in range(len(result.tokens))]
    ahead = [first] if first else []
    coloured_text(
        [*ahead, *result.tokens],
        [*(float("nan") for _ in ahead), *values],
        labels=[*(f"{token}\nnot predicted: it is the first token" for token in ahead), *labels],
        scale="diverging" if view == "regret" else "sequential",
        unit=UNITS[view],
        key="surprise_text",
        name="The text, token by token",
    )


def token_label(result: Surprise, i: int) -> str:
    """The numbers of a token in lines: its loss, and the top tokens in its place."""
    lines = [
        f"{result.tokens[i]}\ttoken {i}",
        f"loss\t{result.loss_nats[i]:.3f} nats",
        f"probability\t{percent((-result.loss_nats[i]).exp(), 2)}",
        f"rank\t{result.ranks[i]}",
        f"entropy before\t{result.entropy_bits[i]:.2f} bits",
    ]
    if result.has_floor:
        lines.insert(2, f"floor\t{result.floor_nats[i]:.3f} nats")
        lines.insert(3, f"regret\t{result.regret_nats[i]:+.3f} nats")
        lines.append(f"kind\t{result.kinds[i]}")
    expected = zip(result.top_tokens[i], result.top_log_probs[i].exp().tolist(), strict=True)
    best = [
        f"{rank}. {token}\t{percent(p, 2)}" for rank, (token, p) in enumerate(expected, start=1)
    ]
    return "\n".join([*lines, "top tokens", *best])
