"""What a probe decodes from the activations: by layer, along a story, or for a labelled table."""

from typing import Any

import streamlit as st

from dashboards.page import header, measurements, result_card, run_button
from dashboards.page.model_list import Entry
from dashboards.pickers.labelled_table import own_table
from dashboards.stories.reader import coloured_story, no_states, states, stepper, two_tables
from interp.analyses.probing.state_decoding import StateDecoding
from interp.core.protocols import LanguageModel
from interp.results.result import Result
from interp.worlds.world import World

TITLE, ICON, GROUP, PLACE = "Probing", ":material/troubleshoot:", "Look inside", 50
PARTS = {"world": "By layer", "story": "Along a story", "table": "My own table"}
AT = {
    "asked": "Just before the answer to a question",
    "stated": "Where it is stated",
    "state": "At the end of each sentence",
}
KINDS = {"linear": "Linear", "mlp": "One hidden layer"}
VIEWS = {"accuracy": "Accuracy by layer", "confusion": "Confusion matrix"}
MOST_STORIES = 1000


def render() -> None:
    """Draw the page."""
    what = "What a probe can decode from the activations, compared with controls."
    model, entry = header.begin(TITLE, what)
    seed = header.seed_input()
    world = header.world_of(entry)
    if world is None:
        header.no_world()
        _of_a_table(model, None, seed)
        return
    part = st.segmented_control(
        "Data", list(PARTS), default="world", format_func=PARTS.__getitem__, required=True,
        key="part", **header.LINK,
    )  # fmt: skip
    if part == "world":
        _by_layer(model, world, seed)
    elif part == "story" and not states(world.name):
        no_states()
    elif part == "story":
        _along_a_story(model, entry, world, seed)
    else:
        _of_a_table(model, world, seed)


def _by_layer(model: LanguageModel, world: World, seed: int) -> None:
    with st.form("probe"):
        first, second = st.columns(2)
        variable = first.selectbox("Variable", list(world.variables), key="variable", **header.LINK)
        position = second.selectbox(
            "Position", list(AT), format_func=AT.__getitem__, key="at", **header.LINK
        )
        kind = first.selectbox(
            "Probe", list(KINDS), format_func=KINDS.__getitem__, key="kind", **header.LINK
        )
        n = second.slider("Stories", 100, 2000, 300, 100, key="probe_stories", **header.LINK)
        pressed = st.form_submit_button("Train the probe", type="primary")
    arguments = {"variable": variable, "at": position, "kind": kind, "n_stories": n, "seed": seed}
    if not run_button.is_requested("probe", pressed, [model.hash, arguments]):
        st.caption("Press *Train the probe* to measure with these settings.")
        return
    result = measurements.measured(
        "probe", model, world=world, **header.level_of(world), **arguments
    )
    _show_probe(result, f"Where '{variable}' can be decoded")


def _of_a_table(model: LanguageModel, world: World | None, seed: int) -> None:
    path = own_table(model, world)
    if path is None:
        return
    left, right = st.columns(2, vertical_alignment="bottom")
    kind = left.selectbox(
        "Probe", list(KINDS), format_func=KINDS.__getitem__, key="table_kind", **header.LINK
    )
    arguments = {"labels": str(path), "kind": kind, "seed": seed}
    pressed = right.button("Train the probe", type="primary", key="train_table")
    if run_button.is_requested("table", pressed, [model.hash, arguments]):
        _show_probe(
            measurements.measured("probe", model, **arguments), "Where the label can be decoded"
        )


def _show_probe(result: Result, title: str) -> None:
    view = st.segmented_control(
        "Show", list(VIEWS), default="accuracy", format_func=VIEWS.__getitem__, required=True,
        key="probe_view", **header.LINK,
    )  # fmt: skip
    result_card.show(result, title, view=view)


def _along_a_story(model: LanguageModel, entry: Entry, world: World, seed: int) -> None:
    base = {"world": world, **header.level_of(world), **_what(model, world), "seed": seed}
    pressed = st.button("Train the decoder", type="primary", key="train_decoder")
    saved = measurements.saved("state_decoding", model, **base)
    if saved is None and not run_button.is_requested("reading", pressed, [model.hash, str(base)]):
        st.caption("A decoder is first trained on other stories; then it reads any story at once.")
        return
    decoder = saved or measurements.measured("state_decoding", model, **base)
    result = _read(model, base, decoder)
    title = f"The '{result.variable}' in a story: true and decoded"

    positions = _shown_positions(result)

    def picture() -> None:
        coloured_story(result, positions)
        two_tables(result, stepper(result, positions), positions)

    result_card.show(result, title, picture=picture)
    result_card.show(result, f"Where '{result.variable}' can be decoded", key="where", view="where")


def _shown_positions(result: StateDecoding) -> tuple[str, ...]:
    """The kinds of token at which decoded values are shown; elsewhere a right value is luck."""
    everywhere = st.toggle(
        "Also show tokens where the controls decode it equally well",
        key="everywhere",
        help="There the decoded value is no better than that of an untrained model, of shuffled "
        "labels or of the most common value.",
        **header.LINK,
    )
    if not everywhere and not result.places_above_controls:
        st.info(
            "At this layer the decoder is nowhere better than the controls.", icon=":material/info:"
        )
    return result.places if everywhere else result.places_above_controls


def _what(model: LanguageModel, world: World) -> dict[str, Any]:
    """The variable, and the layer that it is decoded from."""
    left, right = st.columns(2)
    variable = left.selectbox("Variable", states(world.name), key="state", **header.LINK)
    layers = ["embedding", *(f"after layer {i}" for i in range(model.cfg.n_layers))]
    middle = model.cfg.n_layers // 2 + 1
    layer = layers.index(right.selectbox("Layer", layers, middle, key="read_at", **header.LINK))
    site = ("resid_post", layer - 1) if layer else ("resid_pre", 0)
    return {"variable": variable, "site": site}


def _read(model: LanguageModel, base: dict[str, Any], decoder: Result) -> Result:
    left, right = st.columns([1, 3])
    story = left.number_input("Story", 0, MOST_STORIES, 0, key="story", **header.LINK)
    own = right.text_area(
        "Or my own story",
        key="own_story",
        height=68,
        max_chars=header.LONGEST_PROMPT,
        placeholder=base["world"].sample(story, split="held_out").text[:120] + " …",
        **header.LINK,
    )
    story_arguments = {"text": own.rstrip()} if own.strip() else {"story": story}
    return measurements.measured(
        "state_decoding", model, **base, **story_arguments, decoder=decoder
    )
