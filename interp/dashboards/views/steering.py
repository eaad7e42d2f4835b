"""Add a concept to the activations while the model writes, and see what it says and what breaks."""

import streamlit as st

from interp.analyses.concept import Concept
from interp.dashboards import exhibit, frame, session
from interp.dashboards.plain import plain
from interp.dashboards.sampling import sampling
from interp.errors import NotEnoughDataError
from interp.protocols import LanguageModel
from interp.worlds.world import World

TITLE, ICON, GROUP = "Steering", ":material/tune:", "Change it"
METHODS = {
    "gradient": "Gradient of the log-odds",
    "mean_difference": "Difference of means",
    "probe": "Weights of a linear probe",
    "pca": "First principal axis",
}
WORLD, OWN = "a word of the world", "my own examples"


def render() -> None:
    """Draw the page."""
    what = "The same text with and without a concept, drawn with the same random numbers."
    model, entry = frame.begin(TITLE, what)
    seed = frame.seed_box()
    world = frame.world_of(entry)
    concept = _concept(model, world, seed)
    dose = st.slider(
        "Dose, in shares of the site's median norm", -1.5, 1.5, 0.75, 0.05, key="dose",
        help="0 = the model as it is; negative doses push away.", **frame.LINK,
    )  # fmt: skip
    prompt = frame.prompt_box(model, entry)
    options = {**sampling(), "seed": seed}
    _side_by_side(model, concept, dose, prompt, options, world)
    with st.expander("The direction: does it tell held-out examples apart?"):
        exhibit.show(concept, f"'{concept.name}' as a direction")
    if world is not None and concept.among:
        _curve(model, concept, world, seed)


def _concept(model: LanguageModel, world: World | None, seed: int) -> Concept:
    source = OWN
    if world is not None:
        source = st.segmented_control(
            "Concept", [WORLD, OWN], default=WORLD, required=True, key="concept_source"
        )
    first, second, third = st.columns(3)
    layer = second.selectbox(
        "After layer", list(range(model.cfg.n_layers)), model.cfg.n_layers // 2, key="after",
        **frame.LINK,
    )  # fmt: skip
    site = ("resid_post", layer)
    known = [name for name in METHODS if name != "gradient" or source == WORLD]
    method = third.selectbox("Found by", known, format_func=METHODS.__getitem__, key="method")
    asked = {"site": site, "method": method, "seed": seed}
    if source == OWN:
        return session.measured("concept", model, **_examples(), **asked)
    words = [word for group in world.concepts.values() for word in group]
    word = first.selectbox("Concept", words, key="concept", **frame.LINK)
    return session.measured("concept", model, positive=word, world=world, **asked)


def _examples() -> dict[str, list[str]]:
    left, right = st.columns(2)
    told = {"height": 140, "persist_state": "session", "max_chars": frame.LONGEST_PROMPT}
    texts = {
        "positive": left.text_area("Texts that show it, one a line", key="positive", **told),
        "negative": right.text_area("Texts that do not, one a line", key="negative", **told),
    }
    found = {name: [line for line in text.split("\n") if line] for name, text in texts.items()}
    if not all(found.values()):
        raise NotEnoughDataError("A concept needs 8 texts or more of each kind, one a line.")
    return found


def _side_by_side(
    model: LanguageModel,
    concept: Concept,
    dose: float,
    prompt: str,
    options: dict,
    world: World | None,
) -> None:
    plainly = session.continued(model, prompt, **options)
    steered = session.continued(model, prompt, edits=[concept.add(dose)], **options)
    columns = st.columns(2)
    told = ("As it is", plainly.text), (f"With {dose:+.2f} of '{concept.name}'", steered.text)
    for column, (name, text) in zip(columns, told, strict=True):
        with column.container(border=True):
            st.markdown(f"**{plain(name)}**")
            st.text(text or "(nothing)")
            if world is not None:
                st.caption(plain(_read_back(world, concept, prompt, text)))
    if st.toggle("Copy as Python", key="code_steered"):
        st.code(script(concept, dose, prompt, options), language="python")


def _read_back(world: World, concept: Concept, prompt: str, text: str) -> str:
    """What the world's parser finds in one text."""
    before = len(world.parse(prompt).sentences)
    sentences = world.parse(prompt + text).sentences[before:]
    shown = [word for sentence in sentences for word in sentence.concepts if word in concept.among]
    told = f"{sum(s.well_formed for s in sentences)} of {len(sentences)} sentences well formed"
    if concept.among:
        told += f", {shown.count(concept.name)} of {len(shown)} mentions '{concept.name}'"
    return f"Read back: {told}."


def script(concept: Concept, dose: float, prompt: str, options: dict) -> str:
    """Python that finds the concept and writes both texts."""
    told = ", ".join(f"{name}={value!r}" for name, value in options.items())
    lines = (
        f"prompt, options = {prompt!r}, dict({told})",
        "print(model.generate(prompt, **options).text)",
        f"print(model.generate(prompt, edits=[result.add({dose!r})], **options).text)",
    )
    return concept.code() + "\n".join(lines) + "\n"


def _curve(model: LanguageModel, concept: Concept, world: World, seed: int) -> None:
    st.subheader("Gain and price at every dose")
    wanted = [concept.provenance.model_hash, concept.name, concept.method, concept.site, seed]
    help_text = "Writes several hundred texts, which takes some seconds."
    pressed = st.button("Measure the dose curve", help=help_text)
    if not frame.asked_for("curve", pressed, wanted):
        st.caption("What the concept gains and breaks at each dose, beside random directions.")
        return
    result = session.measured(
        "steering", model, concept=concept, world=world, n_prompts=24, n_random=8,
        n_random_prompts=8, seed=seed,
    )  # fmt: skip
    exhibit.show(result, f"Steering '{concept.name}'")
