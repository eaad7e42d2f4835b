"""One story, an edit of where somebody is, and the answers before and after."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboards.page.link import linked
from dashboards.page.markdown import plain
from interp.analyses.interventions.state_edit import StateEdit, Trial, trial
from interp.core.protocols import LanguageModel
from interp.worlds.world import World

MOST_STORIES = 200


def edited_story(model: LanguageModel, world: World, result: StateEdit) -> None:
    """Choose a story and a new place; show the story, and the answers before and after."""
    left, right = st.columns(2)
    number = linked(left.number_input, "Story", 0, MOST_STORIES, 0, key="edit_story")
    new = linked(right.selectbox, "New place", result.classes, key="new_place")
    dose = linked(
        st.slider, "Dose (in differences of means)", 0.0, 3.0, float(result.dose), 0.25,
        key="edit_dose",
    )  # fmt: skip
    trial_result = trial(model, world, result, story=number, new=new, dose=dose)
    st.markdown(_sentence(trial_result))
    if trial_result.old == new:
        st.caption("This is the place that the story gives. Choose another one to see a change.")
    before, after = st.columns(2)
    _answers(before, "Unedited", trial_result.before)
    _answers(after, f"Edited to '{new}'", trial_result.after)
    words = " ".join(trial_result.continuation.split())
    st.caption(plain(f"Continuation with the edit: {words}"))


def _sentence(trial_result: Trial) -> str:
    """The story, and in bold what the edit is about."""
    return (
        f"{plain(trial_result.text)}\n\nIn the story, {plain(trial_result.about)} is in the "
        f"**{plain(trial_result.old)}**. The edit acts at the token "
        f"**{plain(trial_result.token)}**, {plain(trial_result.site_name)}."
    )


def _answers(column: DeltaGenerator, title: str, answers: tuple[tuple[str, float], ...]) -> None:
    column.markdown(f"**{plain(title)}**")
    rows = [{"answer": word, "probability": chance} for word, chance in answers]
    column_format = st.column_config.ProgressColumn(min_value=0.0, max_value=1.0, format="%.3f")
    column.dataframe(
        rows,
        hide_index=True,
        column_config={"probability": column_format},
        alt=f"Top answers: {title}",
    )
