"""What a probe decodes from the activations: by layer, along a story, or for a labelled table."""

from typing import Any

import streamlit as st

from dashboards.page import header, measurements, result_card, run_button
from dashboards.page.link import linked
from dashboards.pickers.choice import choice, listed_choice
from dashboards.pickers.labelled_table import own_table
from dashboards.stories.reader import coloured_story, needed_states, stepper, two_tables
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
NO_WORLD = (
    "Of this model's text nobody knows the true state of a world, so a probe reads a labelled "
    "table: a ready one, or your own."
)


def render() -> None:
    """Draw the page."""
    what = "What a probe can decode from the activations, compared with controls."
    model, entry, seed = header.begin_measuring(TITLE, what)
    world = header.world_of(entry)
    if world is None:
        st.info(NO_WORLD, icon=":material/info:")
        _of_a_table(model, None, seed)
        return
    part = choice("Data", PARTS, "part")
    if part == "world":
        _by_layer(model, world, seed)
    elif part == "story":
        _along_a_story(model, world, seed)
    else:
        _of_a_table(model, world, seed)


def _by_layer(model: LanguageModel, world: World, seed: int) -> None:
    with st.form("probe"):
        first, second = st.columns(2)
        with first:
            variable = listed_choice("Variable", list(world.variables), "variable")
            kind = listed_choice("Probe", KINDS, "kind")
        with second:
            position = listed_choice("Position", AT, "at")
        n = linked(second.slider, "Stories", 100, 2000, 300, 100, key="probe_stories")
        pressed = st.form_submit_button("Train the probe", type="primary")
    arguments = {"variable": variable, "at": position, "kind": kind, "n_stories": n, "seed": seed}
    arguments |= {"world": world, **header.level_of(world)}
    note = "Press *Train the probe* to measure with these settings."
    result = run_button.on_request("probe", model, pressed, note, **arguments)
    _show_probe(result, f"Where '{variable}' can be decoded")


def _of_a_table(model: LanguageModel, world: World | None, seed: int) -> None:
    path = own_table(model, world)
    if path is None:
        return
    left, right = st.columns(2, vertical_alignment="bottom")
    with left:
        kind = listed_choice("Probe", KINDS, "table_kind")
    arguments = {"labels": str(path), "kind": kind, "seed": seed}
    pressed = right.button("Train the probe", type="primary", key="train_table")
    result = run_button.on_request("probe", model, pressed, **arguments)
    _show_probe(result, "Where the label can be decoded")


def _show_probe(result: Result | None, title: str) -> None:
    if result is not None:
        result_card.show(result, title, view=choice("Show", VIEWS, "probe_view"))


def _along_a_story(model: LanguageModel, world: World, seed: int) -> None:
    base = {"world": world, **header.level_of(world), **_what(model, world), "seed": seed}
    pressed = st.button("Train the decoder", type="primary", key="train_decoder")
    note = "A decoder is first trained on other stories; then it reads any story at once."
    decoder = run_button.on_request("state_decoding", model, pressed, note, **base)
    if decoder is None:
        return
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
    everywhere = linked(
        st.toggle,
        "Also show tokens where the controls decode it equally well",
        key="everywhere",
        help="There the decoded value is no better than that of an untrained model, of shuffled "
        "labels or of the most common value.",
    )
    if not everywhere and not result.places_above_controls:
        st.info(
            "At this layer the decoder is nowhere better than the controls.", icon=":material/info:"
        )
    return result.places if everywhere else result.places_above_controls


def _what(model: LanguageModel, world: World) -> dict[str, Any]:
    """The variable, and the layer that it is decoded from."""
    left, right = st.columns(2)
    with left:
        variable = listed_choice("Variable", needed_states(world), "state")
    layers = ["embedding", *(f"after layer {i}" for i in range(model.cfg.n_layers))]
    middle = model.cfg.n_layers // 2 + 1
    layer = layers.index(linked(right.selectbox, "Layer", layers, middle, key="read_at"))
    site = ("resid_post", layer - 1) if layer else ("resid_pre", 0)
    return {"variable": variable, "site": site}


def _read(model: LanguageModel, base: dict[str, Any], decoder: Result) -> Result:
    left, right = st.columns([1, 3])
    story = linked(left.number_input, "Story", 0, MOST_STORIES, 0, key="story")
    hint = base["world"].sample(story, split="held_out").text[:120] + " …"
    with right:
        own = header.prompt_area("Or my own story", "", "own_story", height=68, placeholder=hint)
    story_arguments = {"text": own.rstrip()} if own.strip() else {"story": story}
    return measurements.measured(
        "state_decoding", model, **base, **story_arguments, decoder=decoder
    )
