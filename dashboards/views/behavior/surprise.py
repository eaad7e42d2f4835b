"""What each token of a text cost the model, and the least that any model could have paid."""

import streamlit as st

from dashboards.components.coloured_text import coloured_text
from dashboards.page import header, measurements, result_card
from interp.analyses.behavior.surprise import Surprise
from interp.core.errors import WorldError
from interp.core.protocols import LanguageModel
from interp.plots.behavior.surprise import UNITS

TITLE, ICON, GROUP, PLACE = "Surprise", ":material/bolt:", "Look inside", 10
VIEWS = {
    "loss": "Loss",
    "regret": "Regret: loss less the floor",
    "floor": "Floor: the least that any model could pay",
    "kinds": "By kind of word",
}


def render() -> None:
    """Draw the page."""
    what = "How much each word surprised the model, and how much it had to."
    model, entry = header.begin(TITLE, what)
    seed = header.seed_input()
    text = header.prompt_input(model, entry, key="story", sentences=None)
    world = header.world_of(entry)
    try:
        result = measurements.measured("surprise", model, text=text, world=world, seed=seed)
    except WorldError:
        st.info(
            "The world cannot have told this text, so its floor is not known.",
            icon=":material/info:",
        )
        result = measurements.measured("surprise", model, text=text, seed=seed)
    offered = list(VIEWS) if result.has_floor else ["loss"]
    if st.session_state.get("surprise_colour", "loss") not in offered:
        del st.session_state["surprise_colour"]
    view = st.selectbox("Colour", offered, 0, VIEWS.get, key="surprise_colour", **header.LINK)
    picture = None if view == "kinds" else lambda: _draw(result, _unpredicted(model, text), view)
    result_card.show(result, VIEWS[view], picture=picture, view=view)


def _unpredicted(model: LanguageModel, text: str) -> str:
    """The first token, for display, where it is text: nothing came before to predict it from."""
    ids, spans = model.tokenizer.encode_with_spans(text)
    start, end = spans[0]
    return model.tokenizer.display(ids[:1])[0] if end > start else ""


def _draw(result: Surprise, first: str, view: str) -> None:
    """The text as text; point at a token, or move with the arrow keys, for its numbers."""
    values = getattr(result, f"{view}_nats").tolist()
    labels = [told(result, i) for i in range(len(result.tokens))]
    ahead = [first] if first else []
    coloured_text(
        [*ahead, *result.tokens],
        [*(float("nan") for _ in ahead), *values],
        labels=[*(f"{token}\nnot predicted: nothing came before" for token in ahead), *labels],
        scale="diverging" if view == "regret" else "sequential",
        unit=UNITS[view],
        key="surprise_text",
        name="The text, token by token",
    )


def told(result: Surprise, i: int) -> str:
    """The numbers of a token in lines: what it cost, and what was expected in its place."""
    lines = [
        f"{result.tokens[i]}\ttoken {i}",
        f"loss\t{result.loss_nats[i]:.3f} nats",
        f"probability\t{(-result.loss_nats[i]).exp():.2%}",
        f"rank\t{result.ranks[i]}",
        f"entropy before\t{result.entropy_bits[i]:.2f} bits",
    ]
    if result.has_floor:
        lines.insert(2, f"floor\t{result.floor_nats[i]:.3f} nats")
        lines.insert(3, f"regret\t{result.regret_nats[i]:+.3f} nats")
        lines.append(f"kind\t{result.kinds[i]}")
    expected = zip(result.top_tokens[i], result.top_log_probs[i].exp().tolist(), strict=True)
    best = [f"{place}. {token}\t{p:.2%}" for place, (token, p) in enumerate(expected, start=1)]
    return "\n".join([*lines, "expected", *best])
