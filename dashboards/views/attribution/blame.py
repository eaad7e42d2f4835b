"""Who is to blame: for one mistake, for the loss over training, and among the training texts."""

from itertools import pairwise

import streamlit as st

from dashboards.components.coloured_text import coloured_text
from dashboards.page import header, measurements, result_card, run_button
from dashboards.page.markdown import plain
from dashboards.page.model_list import Entry
from dashboards.pickers.question import question_inputs
from interp.analyses.attribution.influence import Influence
from interp.core.protocols import LanguageModel

TITLE, ICON, GROUP, PLACE = "Blame", ":material/account_tree:", "Learn", 30
ABOUT = {"mistake": "One mistake", "loss": "The loss", "texts": "Training texts"}
MEASURES = {
    "gradient": "Gradient",
    "gradient_times_weight": "Gradient × weight",
    "path": "Since the first weights",
}
TOLD = {
    "gradient": "How steeply the answer's loss depends on each part: where one step would act.",
    "gradient_times_weight": "What a small change of a part's size would do; above zero, the part "
    "raises the loss. It does not add up to the loss.",
    "path": "What each part's change since the first weights did to this answer. These shares add "
    "up to the whole change; along the straight line, not the way training took.",
}
PARTS = ("tensors", "layers", "heads", "neurons", "tokens", "weights")
SHARES = ("layers", "tensors", "heads", "neurons", "weights", "helping")
SCORES = ("texts", "order", "overlap", "steps")
ALL = "all"
STORIES, LONGEST_NAME = 4, 70


def render() -> None:
    """Draw the page."""
    what = (
        "Backpropagation tells every parameter its part of a mistake. Here are the parts: of one "
        "wrong answer, of the loss between checkpoints, and of the texts that were learned from."
    )
    model, entry = header.begin(TITLE, what)
    seed = header.seed_input()
    about = _choice("What for", list(ABOUT), "about", ABOUT)
    {"mistake": _mistake, "loss": _loss, "texts": _texts}[about](model, entry, seed)


def _choice(words: str, options: list[str], key: str, names: dict[str, str] | None = None) -> str:
    return st.segmented_control(
        words, options, default=options[0], required=True, key=key,
        format_func=(names or {}).get if names else str.capitalize,
        label_visibility="collapsed", **header.LINK,
    )  # fmt: skip


def _mistake(model: LanguageModel, entry: Entry, seed: int) -> None:
    text, answer = question_inputs(model, entry)
    has_path = len(getattr(model, "history", None) or ()) > 1
    measures = [name for name in MEASURES if name != "path" or has_path]
    measure = _choice("Measure", measures, "measure", MEASURES)
    st.caption(TOLD[measure])
    told = {"prompt": text, "answer": answer, "path": measure == "path"}
    known = measurements.knows("blame", model, **told, seed=seed)
    kept = run_button.applied_settings("blame", model.hash, {"seed": seed}, is_known=known)
    result = measurements.measured("blame", model, **told, **kept)
    part = _choice("By", list(PARTS), "part")
    title = f"{MEASURES[measure]} of one mistake, by {part}"
    result_card.show(result, title, view=part, measure=measure)
    if part == "weights" and measure == "gradient_times_weight":
        changes = zip(result.weights[1], result.by_weight[1], result.without, strict=True)
        rows = [
            {"weight": name, "predicted without it": -float(value), "true change": float(change)}
            for name, value, change in changes
        ]
        st.caption("Each weight alone set to zero, on a copy: the change of the loss in nats.")
        st.dataframe(rows, hide_index=True, alt="Predicted and true changes without each weight")


def _loss(model: LanguageModel, entry: Entry, seed: int) -> None:
    steps = sorted(getattr(model, "history", None) or {})
    if len(steps) < 2:
        told = "This model has no checkpoints to go from one to the next. Open a run that kept some"
        st.info(f"{told}, or the shipped `stories-demo`.", icon=":material/info:")
        return
    world = header.world_of(entry)
    text = "" if world else header.prompt_input(model, entry, key="story", sentences=None)
    pairs = {f"{a}-{b}": (a, b) for a, b in pairwise(steps)}
    told = "Weights that were not neighbours in training are joined by a straight line."
    chosen = st.selectbox("Steps", [*pairs, ALL], key="stretch", help=told, **header.LINK)
    asked = {"texts": [text]} if text else {"world": world, "n_stories": STORIES}
    if chosen != ALL:
        asked["steps"] = pairs[chosen]
    elif not _pressed("Integrate over all checkpoints", "allocation", [model.hash, text]):
        return
    result = measurements.measured("loss_change_allocation", model, **asked)
    view = _choice("By", list(SHARES), "share")
    st.caption("Blue lowered the loss, red or orange raised it: moves that hurt are half of them.")
    result_card.show(result, f"Who lowered the loss, by {view}", view=view)


def _texts(model: LanguageModel, entry: Entry, seed: int) -> None:
    world = header.world_of(entry)
    if world is None:
        st.info(
            "The texts that this model was trained on are not at hand: only a world can tell them "
            "again. In Python, `interp.influence(model, texts)` takes any.",
            icon=":material/info:",
        )
        return
    text, answer = question_inputs(model, entry)
    count = st.slider("Training stories", 20, 120, 40, 20, key="stories", **header.LINK)
    told = "The first gradients of a run are so large that they would decide alone."
    alike = st.toggle("Every checkpoint counts alike", True, key="alike", help=told, **header.LINK)
    wanted = [model.hash, text, answer, count, alike, seed]
    if not _pressed(f"Score {count} training stories", "influence", wanted):
        return
    result = measurements.measured(
        "influence", model, prompt=text, answer=answer, world=world, n_stories=count,
        alike=alike, seed=seed,
    )  # fmt: skip
    view = _choice("Look at", list(SCORES), "score")
    result_card.show(result, f"What training stories did to a mistake: {view}", view=view)
    _one_text(result)


def _pressed(words: str, name: str, wanted: list) -> bool:
    return run_button.is_requested(
        name, st.button(words, type="primary", key=f"ask_{name}"), wanted
    )


def _one_text(result: Influence) -> None:
    """A text whose tokens are coloured by what each adds to its score."""
    names = {
        number: f"{result.scores[number]:+.3g} · {result.texts[number]}"[:LONGEST_NAME]
        for number in result.strongest
    }
    st.subheader("Word by word")
    number = st.selectbox("Text", list(names), format_func=names.get, key="one_text")
    tokens, values = result.parts[result.strongest.index(number)]
    side = "towards the right answer" if result.scores[number] > 0 else "towards the mistake"
    st.caption(plain(f"Training story {number} pushed {side}."))
    labels = [f"{token}\nadds\t{value:+.3g}" for token, value in zip(tokens, values, strict=True)]
    coloured_text(
        tokens, values, labels=labels, scale="diverging", key="influence_text",
        unit="adds to the score (above 0: towards the right answer)", name="A training story",
    )  # fmt: skip
