"""A gradient step as five cards, each with its numbers."""

import streamlit as st

from dashboards.page.markdown import plain
from interp.analyses.attribution.gradient_step import GradientStep, percent


def story(result: GradientStep) -> None:
    """Prediction, loss, gradient, step, and what else changed, side by side."""
    texts = chapters(result)
    for column, (title, words) in zip(st.columns(len(texts)), texts.items(), strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{title}**")
            st.markdown(plain(words))


def chapters(result: GradientStep) -> dict[str, str]:
    """Title to words."""
    right = result.candidates[result.right]
    before, after = (percent(values[result.right]) for values in (result.before, result.after))
    largest = result.parts[result.part_kinds.index("tensor")]
    loss = f"{result.losses[0]:.3f} nats for {result.answer!r}"
    if result.steps:
        before, loss = f"{before}, now {after}", f"{loss}, now {result.losses[-1]:.3f}"
    return {
        "1 · Prediction": f"{right}: {before}.",
        "2 · Loss": f"{loss}.",
        "3 · Gradient": f"Norm {result.gradient_norm:.3g}; the largest share is that of {largest}.",
        "4 · Step": _step(result),
        "5 · Other prompts": _elsewhere(result),
    }


def _step(result: GradientStep) -> str:
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
