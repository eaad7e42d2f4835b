"""One gradient step on one mistake: predicted, taken, what moved, and what else changed."""

import streamlit as st

from dashboards.page import header, measurements, result_card
from dashboards.page.link import linked
from dashboards.page.markdown import plain
from dashboards.page.model_list import Entry
from dashboards.pickers.choice import choice
from dashboards.pickers.question import TAKEN, question_inputs
from interp.analyses.attribution.gradient_step import GradientStep
from interp.core.display import percent
from interp.core.protocols import LanguageModel

TITLE, ICON, GROUP = "One gradient step", ":material/downhill_skiing:", "Training"
PLACE = 40
SIZES = [10.0**power * digit for power in range(-5, 0) for digit in (1, 2, 5)] + [1.0]
SIZES = [float(f"{size:.0e}") for size in SIZES]
USUAL = {"sgd": 0.001, "adamw": 0.0001}
METHODS = {"sgd": "SGD", "adamw": "AdamW"}
MOST_STEPS, MOST_OTHERS = 100, 8
LOOKS = {
    "candidates": "The answers",
    "losses": "Loss by step",
    "parts": "What moved",
    "untouched": "Other prompts",
    "sizes": "Step size",
}
EXPLANATIONS = {
    "candidates": "The most probable next tokens before and after; the right answer is marked.",
    "losses": "Dotted: the loss that the gradient predicted for each step. The longer the step, "
    "the further the loss curves away from that line.",
    "parts": "How far each part moved. With SGD a part moves in proportion to its gradient; with "
    "AdamW every weight moves about equally far at first, so large parts move most.",
    "untouched": "Prompts that the steps were not taken on. Every parameter serves many texts: "
    "what helps one may harm another.",
    "sizes": "Error of the predicted change for a first step of other sizes. A step ten times "
    "smaller has an error a hundred times smaller by the gradient, a thousand times with "
    "curvature.",
}
PARTS = ("layer", "tensor", "head", "neuron", "token")


def render() -> None:
    """Draw the page."""
    what = (
        "Training, one step at a time: the model predicts, the loss measures the mistake, "
        "backpropagation gives the gradient of every parameter, and a step moves them all. "
        "This happens on a copy; the model itself is unchanged."
    )
    model, entry, seed = header.begin_measuring(TITLE, what)
    text, answer = question_inputs(model, entry)
    method, size = _how()
    others = _others(model, entry)
    steps = _steps()
    result = measurements.measured(
        "gradient_step", model, prompt=text, answer=answer, lr=size, optimizer=method, steps=steps,
        untouched=others, world=None if others else header.world_of(entry), seed=seed,
    )  # fmt: skip
    _story(result)
    _look(result)


def _how() -> tuple[str, float]:
    left, right = st.columns([1, 2])
    with left:
        method = choice("Optimizer", METHODS, "optimizer")
    size = linked(
        right.select_slider, "Step size (learning rate)", SIZES, USUAL[method], key=f"lr_{method}",
        format_func="{:g}".format,
    )  # fmt: skip
    return method, size


def _others(model: LanguageModel, entry: Entry) -> list[str]:
    """Prompts to watch: one's own, or none for the world's questions.

    Raises:
        TokenError: the model cannot read one.
    """
    world = header.world_of(entry)
    with st.expander("Other prompts to watch", icon=":material/visibility:"):
        text = linked(
            st.text_area, "One per line", "" if world else "There was a small garden", key="others",
            placeholder="five held-out questions of the world", height=80,
        )  # fmt: skip
    lines = [line.rstrip() for line in (text or "").splitlines() if line.strip()]
    if len(lines) > MOST_OTHERS:
        st.caption(f"The first {MOST_OTHERS} of {len(lines)} lines are watched.")
    for line in lines[:MOST_OTHERS]:
        header.checked_ids(model, line)
    return lines[:MOST_OTHERS]


def _steps() -> int:
    """How many steps were taken; the buttons move the number, which stands in the address."""

    def move(by: int) -> None:
        now = st.session_state.get(TAKEN, 0)
        st.session_state[TAKEN] = min(max(0, now + by), MOST_STEPS)

    with st.container(horizontal=True, vertical_alignment="bottom"):
        style = {"icon": ":material/play_arrow:", "type": "primary"}
        st.button("Step", key="one_step", on_click=move, args=(1,), **style)
        st.button("× 10", key="ten_steps", on_click=move, args=(10,))
        st.button(
            "Undo all", key="undo", icon=":material/undo:", on_click=move, args=(-MOST_STEPS,)
        )
        taken = linked(st.number_input, "Steps taken", 0, MOST_STEPS, 0, key=TAKEN, width=140)
    return taken


def _story(result: GradientStep) -> None:
    """Prediction, loss, gradient, step, and what else changed, side by side."""
    texts = _chapters(result)
    for column, (title, words) in zip(st.columns(len(texts)), texts.items(), strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{title}**")
            st.markdown(plain(words))


def _chapters(result: GradientStep) -> dict[str, str]:
    """Title to words."""
    right = result.candidates[result.right]
    before, after = (percent(values[result.right], 2) for values in (result.before, result.after))
    largest = result.parts[result.part_kinds.index("tensor")]
    loss = f"{result.losses[0]:.3f} nats for {result.answer!r}"
    if result.steps:
        before, loss = f"{before}, now {after}", f"{loss}, now {result.losses[-1]:.3f}"
    return {
        "1 · Prediction": f"{right}: {before}.",
        "2 · Loss": f"{loss}.",
        "3 · Gradient": f"Norm {result.gradient_norm:.3g}; the largest share is that of {largest}.",
        "4 · Step": _taken(result),
        "5 · Other prompts": _elsewhere(result),
    }


def _taken(result: GradientStep) -> str:
    if not result.steps:
        return (
            f"Press Step. Predicted: {result.predicted[0]:+.3g} nats; with curvature "
            f"{result.curved:+.3g}."
        )
    predicted = sum(result.predicted)
    return f"{result.steps} taken: {result.change:+.3g} nats, {predicted:+.3g} predicted."


def _elsewhere(result: GradientStep) -> str:
    if not result.untouched:
        return "No other prompts are watched."
    if not result.steps:
        return f"{len(result.untouched)} other prompts are watched."
    change = result.untouched_loss.diff(dim=1).mean()
    count = len(result.untouched)
    return f"{result.turned} of {count} top answers changed; loss {change:+.2g} nats."


def _look(result: GradientStep) -> None:
    looks = {
        look: words for look, words in LOOKS.items() if result.untouched or look != "untouched"
    }
    look = choice("Show", looks, "look", label_visibility="collapsed")
    options = {"view": look}
    if look == "parts":
        kinds = [kind for kind in PARTS if kind in result.part_kinds]
        options["parts"] = choice("By", kinds, "parts", default="head")
    st.caption(EXPLANATIONS[look])
    result_card.show(result, f"One gradient step: {LOOKS[look].lower()}", **options)
