"""One story, somebody's place in it, another place written in, and what is answered then."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboards.page import header
from dashboards.page.markdown import plain
from interp.analyses.interventions.state_edit import StateEdit, Trial, trial
from interp.core.protocols import LanguageModel
from interp.worlds.world import World

MOST_STORIES = 200


def edited_story(model: LanguageModel, world: World, result: StateEdit) -> None:
    """Pick a story and a new place; the story, and the answer before and after."""
    left, right = st.columns(2)
    number = left.number_input("Story", 0, MOST_STORIES, 0, key="edit_story", **header.LINK)
    new = right.selectbox("New place", result.classes, key="new_place", **header.LINK)
    dose = st.slider(
        "Dose (differences of means)", 0.0, 3.0, float(result.dose), 0.25, key="edit_dose",
        **header.LINK,
    )  # fmt: skip
    tried = trial(model, world, result, story=number, new=new, dose=dose)
    st.markdown(_told(tried))
    if tried.old == new:
        st.caption("That is where the story has it: choose another place to see a change.")
    before, after = st.columns(2)
    _answers(before, "As it is", tried.before)
    _answers(after, f"With '{new}' written in", tried.after)
    words = " ".join(tried.continuation.split())
    st.caption(plain(f"It goes on, with the edit: {words}"))


def _told(tried: Trial) -> str:
    """The story, with the words that the edit is about marked."""
    return (
        f"{plain(tried.text)}\n\n"
        f"The story has {plain(tried.about)} in the **{plain(tried.old)}**. The edit acts at the "
        f"token **{plain(tried.token)}**, {plain(tried.site_name)}."
    )


def _answers(column: DeltaGenerator, title: str, found: tuple[tuple[str, float], ...]) -> None:
    column.markdown(f"**{plain(title)}**")
    rows = [{"answer": word, "probability": chance} for word, chance in found]
    shown = st.column_config.ProgressColumn(min_value=0.0, max_value=1.0, format="%.3f")
    column.dataframe(
        rows, hide_index=True, column_config={"probability": shown}, alt=f"Best answers: {title}"
    )
