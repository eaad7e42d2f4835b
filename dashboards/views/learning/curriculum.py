"""Whether the order of the training data mattered: runs of several orders and seeds compared."""

import streamlit as st

from dashboards.page import header, measurements, model_cache, result_card, run_button
from dashboards.page.link import linked
from dashboards.page.markdown import plain
from dashboards.page.model_list import Entry
from dashboards.pickers.choice import listed_choice, other_runs, same_world
from interp.analyses.learning.curriculum import Curriculum
from interp.core.protocols import LanguageModel
from interp.runs.curriculum import group_of
from interp.worlds.world import World

TITLE, ICON, GROUP, PLACE = "Curriculum", ":material/layers:", "Training", 50
VIEWS = {
    "loss": "Loss by level",
    "answers": "Answers",
    "mixture": "Training mixture",
    "end": "Final results",
}
MOST_RUNS = 12
ORDERS = {"forth": "overlapping", "shuffled": "shuffled-overlapping"}
SEEDS = (0, 1)
LEVELS = (
    "A level is a part of the world's text: {levels}, from the easiest to the hardest. Each panel "
    "is the loss on held-out text of one level; *Training mixture* shows when each was taught."
)


def render() -> None:
    """Draw the page."""
    what = (
        "The loss on each level of difficulty during training, what was forgotten, and whether the "
        "order mattered. Thin lines are seeds; the answer can be `no effect shown`."
    )
    model, entry, seed = header.begin_measuring(TITLE, what)
    world = header.needed_world(entry)
    header.needed_checkpoints(model)
    levels = ", ".join(_levels(entry, world))
    st.caption(LEVELS.format(levels=plain(levels)))
    result = _compared(model, entry, world, seed)
    if result is None:
        return
    views = {name: label for name, label in VIEWS.items() if name != "answers" or result.kinds}
    view = listed_choice("Show", views, "curriculum_view")
    result_card.show(result, "Did the order of the training data matter?", view=view)


def _compared(model: LanguageModel, entry: Entry, world: World, seed: int) -> Curriculum | None:
    """The comparison, once it was asked for."""
    others = _others(entry, world)
    groups = list(dict.fromkeys(group_of(each.name) for each in [entry, *others]))
    baseline, label = groups[0], "Compare" if others else "Measure"
    with st.container(horizontal=True):
        if len(groups) > 1:
            options = {group: plain(group) for group in groups}
            baseline = listed_choice("Baseline", options, "baseline")
        n = linked(st.slider, "Stories per level", 10, 200, 40, 10, key="lessons")
    pressed = st.button(label, type="primary", key="compare")
    settings = [model.hash, *[each.name for each in others], baseline, n, seed]
    if not run_button.is_requested("curriculum", pressed, settings):
        st.caption(
            f"Press *{label}* to measure with these settings; it takes a few seconds per run."
        )
        return None
    return measurements.measured(
        "curriculum",
        model,
        runs=[model_cache.opened(each, None) for each in others],
        world=world,
        labels=[group_of(each.name) for each in [entry, *others]],
        baseline=baseline,
        levels=_levels(entry, world),
        n_stories=n,
        seed=seed,
    )


def _others(entry: Entry, world: World) -> list[Entry]:
    """Other runs on the same world with checkpoints, as many as are picked."""
    runs = [run for run in same_world(entry) if len(run.steps) > 1]
    if not runs:
        st.info(
            "There is no other run on this world, so only this one is shown. For a comparison, "
            "train two seeds or more of each order, in a shell:",
            icon=":material/info:",
        )
        if len(world.levels) > 1:
            st.code(commands(world), language="bash")
        return []
    help_text = "Runs whose names differ only in the number at the end are seeds of one group."
    return other_runs(runs, "compared", help=help_text, most=MOST_RUNS - 1)


def commands(world: World) -> str:
    """What trains two orders of this world's levels, from two seeds each."""
    lines = [
        f"interp train --world {world.name} --curriculum {pacing} --out runs/{world.name}-{order}-"
        f"{seed} --seed {seed}"
        for order, pacing in ORDERS.items()
        for seed in SEEDS
    ]
    return "\n".join(lines)


def _levels(entry: Entry, world: World) -> tuple[str, ...]:
    """Those that the run's text was told at, easiest first."""
    source = (entry.record.get("corpus") or {}).get("source") or {}
    documents = source.get("documents") or {}
    return tuple(level for level in world.levels if level in documents) or tuple(world.levels)
