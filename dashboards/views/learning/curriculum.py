"""Whether the order of the lessons mattered: runs of several orders and seeds, side by side."""

import streamlit as st

from dashboards.page import header, measurements, model_cache, result_card, run_button
from dashboards.page.markdown import plain
from dashboards.page.model_list import Entry, entries
from interp.analyses.learning.curriculum import Curriculum
from interp.core.protocols import LanguageModel
from interp.runs.curriculum import group_of
from interp.worlds.world import World

TITLE, ICON, GROUP, PLACE = "Curriculum", ":material/stairs:", "Learn", 50
VIEWS = {
    "loss": "Loss by level",
    "answers": "Answers",
    "mixture": "What was taught",
    "end": "How it ended",
}
MOST_RUNS = 12
COMMANDS = """\
interp train --world homes --curriculum overlapping --out runs/forth-0 --seed 0
interp train --world homes --curriculum shuffled-overlapping --out runs/shuffled-0 --seed 0"""


def render() -> None:
    """Draw the page."""
    what = (
        "What a run loses on each level while others are taught, what it forgets, and whether the "
        "order mattered: thin lines are seeds, `no effect shown` is an answer too."
    )
    model, entry = header.begin(TITLE, what)
    seed = header.seed_input()
    world = header.world_of(entry)
    if world is None:
        header.no_world()
        return
    if len(getattr(model, "history", ())) < 2:
        st.info("This model has no checkpoints to look back on.", icon=":material/info:")
        return
    result = _compared(model, entry, world, seed)
    if result is None:
        return
    views = {name: told for name, told in VIEWS.items() if name != "answers" or result.kinds}
    if st.session_state.get("curriculum_view", "loss") not in views:
        del st.session_state["curriculum_view"]
    view = st.selectbox(
        "Show", list(views), 0, views.__getitem__, key="curriculum_view", **header.LINK
    )
    result_card.show(result, "Did the order of the lessons matter?", view=view)


def _compared(model: LanguageModel, entry: Entry, world: World, seed: int) -> Curriculum | None:
    """The comparison, once it was asked for."""
    others = _others(entry)
    groups = list(dict.fromkeys(group_of(each.name) for each in [entry, *others]))
    left, right = st.columns(2)
    baseline = groups[0]
    if len(groups) > 1:
        baseline = left.selectbox("Compare with", groups, 0, plain, key="baseline", **header.LINK)
    n = right.slider("Stories of each level", 10, 200, 40, 10, key="lessons", **header.LINK)
    pressed = st.button("Compare", type="primary", key="compare")
    wanted = [model.hash, *[each.name for each in others], baseline, n, seed]
    if not run_button.is_requested("curriculum", pressed, wanted):
        st.caption("Nothing is compared yet with these settings; it takes some seconds a run.")
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


def _others(entry: Entry) -> list[Entry]:
    """Other runs on the same world with checkpoints, as many as are picked."""
    alike = {
        each.name: each
        for each in entries()
        if each.folder != entry.folder and each.world == entry.world and len(each.steps) > 1
    }
    if not alike:
        st.info(
            "No other run on this world is at hand, so here is how this one went. For a comparison "
            "train some, two seeds or more of each order:",
            icon=":material/info:",
        )
        st.code(COMMANDS, language="bash")
        return []
    picked = st.multiselect(
        "Other runs", list(alike), key="compared", max_selections=MOST_RUNS - 1, **header.LINK,
        help="Runs whose names differ in the number at the end are seeds of one group.",
    )  # fmt: skip
    return [alike[name] for name in picked]


def _levels(entry: Entry, world: World) -> tuple[str, ...]:
    """Those that the run's text was told at, easiest first."""
    source = (entry.record.get("corpus") or {}).get("source") or {}
    told = source.get("documents") or {}
    return tuple(level for level in world.levels if level in told) or tuple(world.levels)
