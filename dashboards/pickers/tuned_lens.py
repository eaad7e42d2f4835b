"""A tuned lens on the page: trained on request, kept by the hash of the weights."""

import streamlit as st

from dashboards.page import header, run_button
from dashboards.pickers.choice import choice
from interp.analyses.lenses.tuned_lens import TunedLens
from interp.core.protocols import LanguageModel
from interp.worlds.world import World

STORIES = 100
# Measured on one core with the shipped model: under 2 s, and as near as 300 slower steps.
TRAINING = {"steps": 200, "batch": 256, "learning_rate": 3e-3}
SOURCES = {"world": "Stories of the world", "own": "My own texts"}
LENSES = {"raw": "Raw", "tuned": "Tuned"}


def tuned_lens_form(model: LanguageModel, world: World | None, seed: int) -> TunedLens | None:
    """A button that trains one; None until it was pressed.

    Raises:
        NotEnoughDataError: too few texts were given.
        TokenError: a text has words the model does not know.
    """
    sources = ["world", "own"] if world is not None else ["own"]
    with st.expander("Tuned lens", icon=":material/tune:"):
        st.caption(
            "An affine map for each layer, trained to predict the final distribution from that "
            "layer. It often reads early layers where the logit lens does not."
        )
        source = st.radio("Train on", sources, 0, SOURCES.get, key="tune_from", horizontal=True)
        texts = _texts() if source == "own" else ()
        data = {"texts": texts} if source == "own" else {"world": world, "n_stories": STORIES}
        pressed = st.button("Train a tuned lens", icon=":material/model_training:")
    what = f"{len(texts)} texts" if source == "own" else f"{STORIES} stories"
    with st.spinner(f"Training a tuned lens on {what}: a few seconds for a small model …"):
        return run_button.on_request("tuned_lens", model, pressed, **data, **TRAINING, seed=seed)


def _texts() -> tuple[str, ...]:
    options = {"max_chars": header.LONGEST_PROMPT, "persist_state": "session"}
    pasted = st.text_area("Texts, one per line, five or more", key="tune_texts", **options)
    return tuple(line.rstrip() for line in (pasted or "").splitlines() if line.strip())


def lens_choice(tuned: TunedLens | None) -> str:
    """The lens that the grid shows."""
    if tuned is None and st.session_state.get("lens") == "tuned":
        st.info(
            "The tuned lens is not trained yet. Train it below; until then this is the raw logit "
            "lens.",
            icon=":material/info:",
        )
    help_text = "Train a tuned lens below to use it."
    return choice("Lens", LENSES, "lens", disabled=tuned is None, help=help_text)
