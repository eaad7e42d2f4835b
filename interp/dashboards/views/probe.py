"""Can a variable of the world be read from the activations, and better than by the controls?"""

import streamlit as st

from interp.dashboards import exhibit, frame, session

TITLE, ICON, GROUP = "Probe", ":material/troubleshoot:", "Look inside"
AT = {
    "asked": "Just before a question's answer",
    "stated": "Where it is said",
    "state": "At the end of each sentence",
}
KINDS = {"linear": "Linear", "mlp": "One hidden layer"}
VIEWS = {"accuracy": "Accuracy by layer", "confusion": "What is taken for what"}


def render() -> None:
    """Draw the page."""
    what = "What can be read from the activations, beside controls that know nothing."
    model, entry = frame.begin(TITLE, what)
    seed = frame.seed_box()
    world = frame.world_of(entry)
    if world is None:
        frame.no_world()
        st.caption("Label your own text in a file: `interp run probe --labels FILE`.")
        return
    with st.form("probe"):
        first, second = st.columns(2)
        variable = first.selectbox("What", list(world.variables), key="variable", **frame.LINK)
        at = second.selectbox("Where", list(AT), format_func=AT.__getitem__, key="at")
        kind = first.selectbox("Probe", list(KINDS), format_func=KINDS.__getitem__, key="kind")
        n = second.slider("Stories", 100, 2000, 300, 100, key="stories")
        asked = st.form_submit_button("Train the probe", type="primary")
    wanted = {"variable": variable, "at": at, "kind": kind, "n_stories": n, "seed": seed}
    if not frame.asked_for("probe", asked, [model.hash, wanted]):
        st.caption("Nothing is trained yet with these settings.")
        return
    result = session.measured("probe", model, world=world, **wanted)
    view = st.segmented_control(
        "Show", list(VIEWS), default="accuracy", format_func=VIEWS.__getitem__, required=True,
        key="probe_view",
    )  # fmt: skip
    exhibit.show(result, f"Where '{variable}' can be read", view=view)
