"""A model at every step of its training: curves, and a slider that moves text, words and heads."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboards.components.timeline import MOST_CURVES, timeline
from dashboards.page import header, measurements, result_card, run_button
from dashboards.page.model_list import Entry
from interp.analyses.learning.checkpoint_metrics import CheckpointMetrics
from interp.analyses.learning.checkpoint_viewer import CheckpointViewer
from interp.core.protocols import LanguageModel
from interp.methods.measures import get_measure, measure_names
from interp.runs.checkpoints import thinned
from interp.worlds.world import World

TITLE, ICON, GROUP, PLACE = "Watch it learn", ":material/timeline:", "Learn", 10
MOST_STEPS = 50
QUICK = ("loss", "accuracy", "log_prob", "induction", "previous_token", "in_context")
OF_WEIGHTS = ("induction", "previous_token", "distance", "rank")
VIEWS = {"words": "Words", "attention": "Attention", "lens": "Lens"}


def render() -> None:
    """Draw the page."""
    what = "From noise to structure: every number at every checkpoint, and what was inside."
    model, entry = header.begin(TITLE, what)
    seed = header.seed_input()
    steps = tuple(getattr(model, "history", ()))
    if len(steps) < 2:
        _too_few(len(steps))
        return
    world = header.world_of(entry)
    measures = _measures(world)
    if not measures:
        st.caption("Choose a measure.")
        return
    grown_of = _grown_of(model, world, steps)
    told = _told(model, entry, {"measures": measures, **grown_of, "seed": seed}, world)
    curves = measurements.measured("checkpoint_metrics", model, **told["watch"])
    grown = measurements.measured("checkpoint_viewer", model, **told["growth"])
    _moving(grown, curves)
    result_card.show(curves, f"How {entry.name} learned", key="watch")


def _too_few(n: int) -> None:
    """The empty state."""
    st.info(
        f"This model has {n} checkpoint{'s' * (n != 1)}; watching it learn needs two or more. Pick "
        "a run of your own, or the shipped model.",
        icon=":material/info:",
    )


def _measures(world: World | None) -> tuple[str, ...]:
    """The measures whose curves are wanted."""
    there = [name for name in measure_names() if world or name in OF_WEIGHTS]
    chosen = st.multiselect(
        "Measures", there, [name for name in QUICK if name in there], key="measures",
        format_func=lambda name: get_measure(name).title,
        help="Each is measured once a checkpoint and kept.", **header.LINK,
    )  # fmt: skip
    return tuple(name for name in measure_names() if name in chosen)


def _grown_of(model: LanguageModel, world: World | None, steps: tuple[int, ...]) -> dict[str, Any]:
    """What the slider moves: the text, and the head whose attention is shown.

    Raises:
        TokenError: the model cannot read the text; nobody has to ask for that.
    """
    text, layer, head = st.columns([4, 1, 1])
    start = header.example(world, 0, 2)
    prompt = text.text_input(
        "Prompt", start, key="start", max_chars=header.LONGEST_PROMPT, **header.LINK
    )
    prompt = prompt.strip() or start
    model.to_tokens(prompt)
    layers, heads = range(model.cfg.n_layers), range(model.cfg.n_heads)
    return {
        "prompt": prompt,
        "steps": thinned(steps, MOST_STEPS) if len(steps) > MOST_STEPS else steps,
        "layer": layer.selectbox("Layer", layers, key="layer", **header.LINK),
        "head": head.selectbox("Head", heads, key="head", **header.LINK),
    }


def _told(
    model: LanguageModel, entry: Entry, wanted: dict[str, Any], world: World | None
) -> dict[str, dict[str, Any]]:
    """The arguments of `interp.watch` and `interp.growth`: as chosen, or as before the change.

    Another head is there at once: every checkpoint's are kept.
    """

    def arguments(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        told = {**wanted, **settings, "world": world}
        measures = told.pop("measures")
        watched = {"world": world, "measures": measures, "seed": told["seed"]}
        return {"watch": watched, "growth": told}

    slow = {name: wanted[name] for name in ("measures", "prompt", "seed")}
    asked = arguments(slow)
    known = measurements.knows("checkpoint_metrics", model, **asked["watch"])
    known = known and measurements.knows("checkpoint_viewer", model, **asked["growth"])
    return arguments(run_button.applied_settings("watch", model.hash, slow, is_known=known))


def _moving(grown: CheckpointViewer, curves: CheckpointMetrics) -> None:
    """The slider and its panels."""
    shown = st.multiselect(
        "Curves beside the slider", curves.curves, _first(curves), key="beside",
        max_selections=MOST_CURVES, **header.LINK,
    )  # fmt: skip
    view = st.segmented_control(
        "In the report and the downloads", list(VIEWS), default="words", required=True,
        format_func=VIEWS.__getitem__, key="growth_view", **header.LINK,
    )  # fmt: skip
    result_card.show(
        grown,
        "The same prompt at every step",
        key="growth",
        picture=lambda: timeline(grown, curves, chosen=shown, key="timeline"),
        view=view,
    )


def _first(curves: CheckpointMetrics) -> list[str]:
    """A curve of each measure."""
    first = [curves.measures.index(name) for name in dict.fromkeys(curves.measures)]
    return [curves.curves[i] for i in first][:MOST_CURVES]
