"""A model at every checkpoint: curves, and a slider over text, embeddings, attention and lens."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboards.components.timeline import MOST_CURVES, timeline
from dashboards.page import header, measurements, result_card, run_button
from dashboards.page.link import linked
from dashboards.page.markdown import plain
from dashboards.page.model_list import Entry
from dashboards.pickers.choice import choice
from interp.analyses.learning.checkpoint_metrics import CheckpointMetrics
from interp.analyses.learning.checkpoint_viewer import CheckpointViewer
from interp.core.errors import NotEnoughDataError
from interp.core.protocols import LanguageModel
from interp.methods.measures import get_measure, measure_names
from interp.runs.checkpoints import thinned_steps
from interp.runs.corpus import has_held_out
from interp.runs.curves import TrainingCurves
from interp.worlds.world import World

TITLE, ICON, GROUP, PLACE = "Watch it learn", ":material/timeline:", "Training", 10
MOST_STEPS = 50
QUICK = ("loss", "accuracy", "log_prob", "induction", "previous_token", "in_context")
QUICK_OF_TEXT = ("loss_per_byte", "known_words", "induction", "previous_token", "in_context")
OF_TEXT = ("loss", "loss_per_byte", "known_words", "in_context")
OF_WEIGHTS = ("induction", "previous_token", "distance", "rank")
VIEWS = {"words": "Embeddings", "attention": "Attention", "lens": "Logit lens"}


def render() -> None:
    """Draw the page."""
    what = "From noise to structure: metrics and internals at every checkpoint of a run."
    model, entry, seed = header.begin_measuring(TITLE, what)
    steps = header.needed_checkpoints(model)
    world = header.world_of(entry)
    _losses(model, entry)
    measures = _measures(world, entry)
    if not measures:
        st.caption("Choose one or more metrics.")
        return
    settings = {"measures": measures, **_viewer_settings(model, world, steps), "seed": seed}
    arguments = _arguments(model, settings, world)
    curves = measurements.measured("checkpoint_metrics", model, **arguments["metrics"])
    viewer = measurements.measured("checkpoint_viewer", model, **arguments["viewer"])
    _moving(viewer, curves)
    result_card.show(curves, f"Training of {entry.name}", key="watch")


def _losses(model: LanguageModel, entry: Entry) -> None:
    """The loss that the run wrote down, whatever text it is of, and why it rises where it does."""
    try:
        result = measurements.measured("learning_curve", model)
    except NotEnoughDataError:
        return
    if reason := rise(result):
        st.caption(plain(reason))
    result_card.show(result, f"Loss of {entry.name}", log_x=True)


def rise(result: TrainingCurves) -> str:
    """Why the held-out loss is higher on the way than at the start; empty where it never is.

    Only a curriculum explains it: before the last stage the text that is taught is not the text
    that is held out.
    """
    losses = result.held_out_loss.nan_to_num(0.0)
    if not len(losses) or len(result.stages) < 2:
        return ""
    top = int(losses.argmax())
    step, last = int(result.evaluations[top]), result.stages[-1]
    if top == 0 or result.stage_at(step) == last:
        return ""
    return (
        f"The held-out loss rises from {losses[0]:.2f} at step {int(result.evaluations[0]):,} to "
        f"{losses[top]:.2f} nats/token at step {step:,} before it "
        f"falls: until step {result.stage_starts[-1]:,} the run is taught easier text "
        f"({result.stage_at(step)} at the top) and is sure of what only holds there, while the "
        f"held-out text is that of the last stage, {last}."
    )


def _measures(world: World | None, entry: Entry) -> tuple[str, ...]:
    """The measures whose curves are wanted; without a world, those of the run's held-out text."""
    possible = OF_WEIGHTS if world is None else measure_names()
    if world is None and has_held_out(entry.folder):
        possible = (*OF_TEXT, *OF_WEIGHTS)
    names = [name for name in measure_names() if name in possible]
    quick = [name for name in (QUICK if world else QUICK_OF_TEXT) if name in names]
    selected = linked(
        st.multiselect, "Metrics", names, quick, key="measures",
        format_func=lambda name: get_measure(name).title,
        help="Each is measured once per checkpoint.",
    )  # fmt: skip
    return tuple(name for name in measure_names() if name in selected)


def _viewer_settings(
    model: LanguageModel, world: World | None, steps: tuple[int, ...]
) -> dict[str, Any]:
    """What the slider moves: the text, and the head whose attention is shown.

    Raises:
        TokenError: the model cannot read the text.
    """
    text, layer, head = st.columns([4, 1, 1])
    start = header.example(world, 0, 2)
    prompt = linked(text.text_input, "Prompt", start, key="start", max_chars=header.LONGEST_PROMPT)
    # Spaces are kept: in a world of words with a space before each, a text begins with one.
    prompt = prompt if prompt.strip() else start
    header.checked_ids(model, prompt)
    layers, heads = range(model.cfg.n_layers), range(model.cfg.n_heads)
    return {
        "prompt": prompt,
        "steps": thinned_steps(steps, MOST_STEPS) if len(steps) > MOST_STEPS else steps,
        "layer": linked(layer.selectbox, "Layer", layers, key="layer"),
        "head": linked(head.selectbox, "Head", heads, key="head"),
    }


def _arguments(
    model: LanguageModel, current: dict[str, Any], world: World | None
) -> dict[str, dict[str, Any]]:
    """The arguments of both instruments: the current settings, or the previous ones.

    Another head takes no time: those of every checkpoint are in the result.
    """

    def arguments(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        options = {**current, **settings, "world": world}
        measures = options.pop("measures")
        metrics = {"world": world, **header.level_of(world), "measures": measures}
        return {"metrics": metrics | {"seed": options["seed"]}, "viewer": options}

    slow = {name: current[name] for name in ("measures", "prompt", "seed")}
    slow_arguments = arguments(slow)
    is_known = measurements.knows("checkpoint_metrics", model, **slow_arguments["metrics"])
    is_known = is_known and measurements.knows(
        "checkpoint_viewer", model, **slow_arguments["viewer"]
    )
    return arguments(run_button.applied_settings("watch", model.hash, slow, is_known=is_known))


def _moving(viewer: CheckpointViewer, curves: CheckpointMetrics) -> None:
    """The slider and its panels."""
    curve_names = linked(
        st.multiselect, "Curves next to the slider", curves.curves, _first(curves), key="beside",
        max_selections=MOST_CURVES,
    )  # fmt: skip
    view = choice("Panel in the report and the downloads", VIEWS, "growth_view")

    def picture() -> None:
        timeline(viewer, curves, names=curve_names, key="timeline")

    title = "One prompt at every checkpoint"
    result_card.show(viewer, title, key="growth", picture=picture, view=view)


def _first(curves: CheckpointMetrics) -> list[str]:
    """A curve of each measure."""
    first = [curves.measures.index(name) for name in dict.fromkeys(curves.measures)]
    return [curves.curves[i] for i in first][:MOST_CURVES]
