"""What can be read from the activations: by layer, along a story, or of a table of one's own."""

from typing import Any

import streamlit as st

from dashboards.page import header, measurements, result_card, run_button
from dashboards.page.model_list import Entry
from dashboards.pickers.labelled_table import own_table
from dashboards.stories.reader import coloured_story, states, stepper, two_tables
from interp.analyses.probing.state_decoding import StateDecoding
from interp.core.protocols import LanguageModel
from interp.results.result import Result
from interp.worlds.world import World

TITLE, ICON, GROUP, PLACE = "Probe", ":material/troubleshoot:", "Look inside", 50
PARTS = {"world": "By layer", "story": "Along a story", "table": "A table of my own"}
AT = {
    "asked": "Just before a question's answer",
    "stated": "Where it is said",
    "state": "At the end of each sentence",
}
KINDS = {"linear": "Linear", "mlp": "One hidden layer"}
VIEWS = {"accuracy": "Accuracy by layer", "confusion": "What is taken for what"}
MOST_STORIES = 1000


def render() -> None:
    """Draw the page."""
    what = "What can be read from the activations, beside controls that know nothing."
    model, entry = header.begin(TITLE, what)
    seed = header.seed_input()
    world = header.world_of(entry)
    if world is None:
        header.no_world()
        _of_a_table(model, None, seed)
        return
    part = st.segmented_control(
        "Look for", list(PARTS), default="world", format_func=PARTS.__getitem__, required=True,
        key="part", **header.LINK,
    )  # fmt: skip
    if part == "world":
        _by_layer(model, world, seed)
    elif part == "story":
        _along_a_story(model, entry, world, seed)
    else:
        _of_a_table(model, world, seed)


def _by_layer(model: LanguageModel, world: World, seed: int) -> None:
    with st.form("probe"):
        first, second = st.columns(2)
        variable = first.selectbox("What", list(world.variables), key="variable", **header.LINK)
        at = second.selectbox(
            "Where", list(AT), format_func=AT.__getitem__, key="at", **header.LINK
        )
        kind = first.selectbox(
            "Probe", list(KINDS), format_func=KINDS.__getitem__, key="kind", **header.LINK
        )
        n = second.slider("Stories", 100, 2000, 300, 100, key="probe_stories", **header.LINK)
        asked = st.form_submit_button("Train the probe", type="primary")
    wanted = {"variable": variable, "at": at, "kind": kind, "n_stories": n, "seed": seed}
    if not run_button.is_requested("probe", asked, [model.hash, wanted]):
        st.caption("Nothing is trained yet with these settings.")
        return
    result = measurements.measured("probe", model, world=world, **wanted)
    _shown(result, f"Where '{variable}' can be read")


def _of_a_table(model: LanguageModel, world: World | None, seed: int) -> None:
    path = own_table(model, world)
    if path is None:
        return
    left, right = st.columns(2, vertical_alignment="bottom")
    kind = left.selectbox(
        "Probe", list(KINDS), format_func=KINDS.__getitem__, key="table_kind", **header.LINK
    )
    wanted = {"labels": str(path), "kind": kind, "seed": seed}
    asked = right.button("Train the probe", type="primary", key="train_table")
    if run_button.is_requested("table", asked, [model.hash, wanted]):
        _shown(measurements.measured("probe", model, **wanted), "Where the label can be read")


def _shown(result: Result, title: str) -> None:
    view = st.segmented_control(
        "Show", list(VIEWS), default="accuracy", format_func=VIEWS.__getitem__, required=True,
        key="probe_view", **header.LINK,
    )  # fmt: skip
    result_card.show(result, title, view=view)


def _along_a_story(model: LanguageModel, entry: Entry, world: World, seed: int) -> None:
    base = {"world": world, **_what(model, world), "seed": seed}
    pressed = st.button("Train the decoder", type="primary", key="train_decoder")
    there = measurements.saved("state_decoding", model, **base)
    if there is None and not run_button.is_requested("reading", pressed, [model.hash, str(base)]):
        st.caption("A decoder is trained on other stories first; then any story is read at once.")
        return
    decoder = there or measurements.measured("state_decoding", model, **base)
    result = _read(model, base, decoder)
    title = f"A story's '{result.variable}', as the world has it and as it is read"

    shown = _shown_at(result)

    def picture() -> None:
        coloured_story(result, shown)
        two_tables(result, stepper(result, shown), shown)

    result_card.show(result, title, picture=picture)
    result_card.show(result, f"Where '{result.variable}' can be read", key="where", view="where")


def _shown_at(result: StateDecoding) -> tuple[str, ...]:
    """The kinds of token at which what is read is shown; elsewhere a right value is luck."""
    everywhere = st.toggle(
        "Also where the controls read it as well",
        key="everywhere",
        help="There what is read is no better than an untrained model, shuffled labels or the "
        "commonest value.",
        **header.LINK,
    )
    if not everywhere and not result.held_at:
        st.info(
            "At this layer nothing is read better than by the controls.", icon=":material/info:"
        )
    return result.places if everywhere else result.held_at


def _what(model: LanguageModel, world: World) -> dict[str, Any]:
    """The variable, and the layer it is read at."""
    left, right = st.columns(2)
    variable = left.selectbox("What", states(world.name), key="state", **header.LINK)
    layers = ["embedding", *(f"after layer {i}" for i in range(model.cfg.n_layers))]
    middle = model.cfg.n_layers // 2 + 1
    layer = layers.index(right.selectbox("Read at", layers, middle, key="read_at", **header.LINK))
    site = ("resid_post", layer - 1) if layer else ("resid_pre", 0)
    return {"variable": variable, "site": site}


def _read(model: LanguageModel, base: dict[str, Any], decoder: Result) -> Result:
    left, right = st.columns([1, 3])
    story = left.number_input("Story", 0, MOST_STORIES, 0, key="story", **header.LINK)
    own = right.text_area(
        "or a story of my own",
        key="own_story",
        height=68,
        max_chars=header.LONGEST_PROMPT,
        placeholder=base["world"].sample(story, split="held_out").text[:120] + " …",
        **header.LINK,
    )
    chosen = {"text": own.strip()} if own.strip() else {"story": story}
    return measurements.measured("state_decoding", model, **base, **chosen, decoder=decoder)
