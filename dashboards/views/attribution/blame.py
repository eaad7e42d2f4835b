"""Attribution to parameters and training texts: of one mistake, and of the loss over training."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import streamlit as st

from dashboards.components.coloured_text import coloured_text
from dashboards.page import header, measurements, result_card, run_button
from dashboards.page.link import linked
from dashboards.page.markdown import plain
from dashboards.page.model_list import Entry
from dashboards.pickers.choice import choice
from dashboards.pickers.question import question_inputs
from interp.analyses.attribution.influence import Influence
from interp.core.protocols import LanguageModel

TITLE, ICON, GROUP, PLACE = "Attribution", ":material/account_tree:", "Training", 30
ABOUT = {"mistake": "One mistake", "loss": "The loss", "texts": "Training texts"}
MEASURES = {
    "gradient": "Gradient",
    "gradient_times_weight": "Gradient × weight",
    "path": "Path from initialization",
}
EXPLANATIONS = {
    "gradient": "How steeply the loss of the answer depends on each part: where one gradient step "
    "would act.",
    "gradient_times_weight": "What scaling a part up a little would do; above zero, the part "
    "raises the loss. The values do not sum to the loss.",
    "path": "What the change of each part since initialization did to the loss of this answer. The "
    "shares sum to the total change. They are integrated along the straight line between the two "
    "checkpoints, not along the path that training took.",
}
PARTS = ("tensors", "layers", "heads", "neurons", "tokens", "weights")
SHARES = ("layers", "tensors", "heads", "neurons", "weights", "helping")
SCORES = ("texts", "order", "overlap", "steps")
ALL = "all"
STORIES, LONGEST_NAME = 4, 70


def render() -> None:
    """Draw the page."""
    what = (
        "Which parameters and which training texts are responsible: for one wrong answer, and for "
        "the change of the loss between checkpoints."
    )
    model, entry, seed = header.begin_measuring(TITLE, what)
    about = _buttons("Attribution of", ABOUT, "about")
    {"mistake": _mistake, "loss": _loss, "texts": _texts}[about](model, entry, seed)


def _buttons(label: str, options: Mapping[str, str] | Sequence[str], key: str) -> str:
    """Buttons without a label beside them; options that are one word stand for themselves."""
    if not isinstance(options, Mapping):
        options = {option: option.capitalize() for option in options}
    return choice(label, options, key, label_visibility="collapsed")


def _mistake(model: LanguageModel, entry: Entry, seed: int) -> None:
    text, answer = question_inputs(model, entry)
    has_path = len(header.checkpoints_of(model)) > 1
    measures = {name: MEASURES[name] for name in MEASURES if name != "path" or has_path}
    measure = _buttons("Measure", measures, "measure")
    st.caption(EXPLANATIONS[measure])
    arguments = {"prompt": text, "answer": answer, "path": measure == "path"}
    is_known = measurements.knows("blame", model, **arguments, seed=seed)
    settings = run_button.applied_settings("blame", model.hash, {"seed": seed}, is_known=is_known)
    result = measurements.measured("blame", model, **arguments, **settings)
    view = _buttons("By", PARTS, "part")
    title = f"{MEASURES[measure]} of one mistake, by {view}"
    result_card.show(result, title, view=view, measure=measure)
    if view == "weights" and measure == "gradient_times_weight":
        changes = zip(result.weights[1], result.by_weight[1], result.without, strict=True)
        rows = [
            {"weight": name, "predicted change": -float(value), "true change": float(change)}
            for name, value, change in changes
        ]
        st.caption(
            "Each weight alone set to zero, on a copy of the model: the change of the loss in nats."
        )
        st.dataframe(
            rows, hide_index=True, alt="Predicted and true change of the loss without each weight"
        )


def _loss(model: LanguageModel, entry: Entry, seed: int) -> None:
    steps = header.needed_checkpoints(model)
    world = header.world_of(entry)
    text = "" if world else header.prompt_input(model, entry, key="story", sentences=None)
    pairs = {f"{a}-{b}": (a, b) for a, b in pairwise(steps)}
    message = "Two checkpoints are joined by a straight line, however far apart they are."
    interval = linked(st.selectbox, "Steps", [*pairs, ALL], key="stretch", help=message)
    arguments = {"texts": [text]} if text else {"world": world, "n_stories": STORIES}
    if interval != ALL:
        arguments["steps"] = pairs[interval]
    pressed = interval != ALL or _pressed("Integrate over all checkpoints", "allocation")
    result = run_button.on_request("loss_change_allocation", model, pressed, **arguments)
    if result is None:
        return
    view = _buttons("By", SHARES, "share")
    st.caption(
        "Blue lowered the loss, orange or red raised it. Usually about half of all changes raise "
        "it."
    )
    result_card.show(result, f"What lowered the loss, by {view}", view=view)


def _texts(model: LanguageModel, entry: Entry, seed: int) -> None:
    world = header.world_of(entry)
    if world is None:
        header.ends_here(
            "This needs the training texts, which only a simulated world can generate again; this "
            "model was trained on other text. In Python, `interp.influence(model, texts)` takes "
            "any texts."
        )
    text, answer = question_inputs(model, entry)
    count = linked(st.slider, "Training stories", 20, 120, 40, 20, key="stories")
    help_text = (
        "Otherwise the first checkpoints dominate, because their gradients are by far the largest."
    )
    normalized = linked(
        st.toggle, "Weight all checkpoints equally", True, key="alike", help=help_text
    )
    pressed = _pressed(f"Score {count} training stories", "influence")
    result = run_button.on_request(
        "influence", model, pressed, prompt=text, answer=answer, world=world, n_stories=count,
        alike=normalized, seed=seed,
    )  # fmt: skip
    if result is None:
        return
    view = _buttons("Show", SCORES, "score")
    result_card.show(result, f"Influence of training stories on a mistake: {view}", view=view)
    _one_text(result)


def _pressed(words: str, name: str) -> bool:
    return st.button(words, type="primary", key=f"ask_{name}")


def _one_text(result: Influence) -> None:
    """A text whose tokens are coloured by what each adds to the score of the text."""
    names = {
        number: f"{result.scores[number]:+.3g} · {result.texts[number]}"[:LONGEST_NAME]
        for number in result.strongest
    }
    st.subheader("Token by token")
    number = st.selectbox("Text", list(names), format_func=names.get, key="one_text")
    tokens, values = result.parts[result.strongest.index(number)]
    side = "towards the right answer" if result.scores[number] > 0 else "towards the mistake"
    st.caption(plain(f"Training story {number} pushed {side}."))
    labels = [f"{token}\nadds\t{value:+.3g}" for token, value in zip(tokens, values, strict=True)]
    coloured_text(
        tokens, values, labels=labels, scale="diverging", key="influence_text",
        unit="adds to the score (above 0: towards the right answer)", name="A training story",
    )  # fmt: skip
