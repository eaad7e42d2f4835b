"""Save what is on the rack as a file, and take it from one."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboards.page.markdown import plain
from dashboards.pickers.own_concepts import ConceptList
from dashboards.steering.concept_sliders import EVERYWHERE, METHODS, WRITTEN, SteeredConcept
from dashboards.steering.dose_zones import HIGHEST, LOWEST
from interp.core.edits import Where
from interp.core.errors import CheckpointError, InterpError
from interp.core.protocols import LanguageModel
from interp.steering_recipe import MOST_BYTES, Ingredient, SteeringRecipe

TOLD = "recipe_told"
KEYS = {"max_new_tokens": "length", "temperature": "temperature", "seed": "seed"}


def recipe_form(
    model: LanguageModel,
    known: ConceptList,
    held: Sequence[SteeredConcept],
    prompt: str,
    options: dict[str, Any],
) -> None:
    """A button that saves the recipe and a field that takes one."""
    st.subheader("Recipe", anchor=False)
    st.caption("Concepts, doses, text and sampling in one file, to keep or to pass on.")
    if held:
        _saving(model, held, prompt, options)
    st.file_uploader(
        "Load a recipe", type="json", key="recipe_file", on_change=_load, args=(model, known),
        max_upload_size=max(1, MOST_BYTES // 2**20),
    )  # fmt: skip
    for kind, message in st.session_state.get(TOLD, ()):
        show = {"error": st.error, "warning": st.warning}.get(kind, st.success)
        show(plain(message))


def _saving(
    model: LanguageModel, held: Sequence[SteeredConcept], prompt: str, options: dict[str, Any]
) -> None:
    made = SteeringRecipe.of(model, [each.ingredient() for each in held], prompt, **options)
    st.download_button(
        "Save recipe",
        data=made.to_json(),
        file_name=f"{'-'.join(each.slug for each in held)}.recipe.json",
        mime="application/json",
        key="save_recipe",
        icon=":material/download:",
        on_click="ignore",
        help="From Python: interp.load_recipe(file).edits(model); "
        "from a shell: interp generate MODEL TEXT --recipe FILE",
    )


def _load(model: LanguageModel, known: ConceptList) -> None:
    """Put an uploaded recipe on the rack; what is wrong with it is told on the page."""
    state = st.session_state
    file = state.get("recipe_file")
    if file is None:
        state[TOLD] = ()
        return
    try:
        state[TOLD] = take(model, known, file.getvalue())
    except InterpError as error:
        state[TOLD] = (("error", str(error)),)


def take(model: LanguageModel, known: ConceptList, content: bytes) -> tuple[tuple[str, str], ...]:
    """Set every widget to what a recipe says; returns what to tell, each with its kind.

    Raises:
        CheckpointError: it is no recipe, or holds what this page cannot find again.
        ModelMismatchError: its directions do not fit the model.
    """
    try:
        recipe = SteeringRecipe.from_json(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise CheckpointError(
            "A steering recipe was needed, as Save recipe writes it; this file is no text. Save "
            "it again from where it was made."
        ) from None
    recipe.fit(model)
    wanted: dict[str, Any] = {"concepts": [_name(each, known) for each in recipe.concepts]}
    own = {each.name: _own(each) for each in recipe.concepts if each.name not in known.words}
    known.own.update(own)
    for each in recipe.concepts:
        wanted |= _widgets(each, known.slug(each.name), own=each.name in own)
    wanted["prompt"] = recipe.prompt
    wanted |= {KEYS[name]: value for name, value in recipe.sampling.items() if name in KEYS}
    wanted["top_k"] = recipe.sampling.get("top_k") or 0
    st.session_state.update(wanted)
    caution = recipe.caution(model)
    if not caution:
        return (("success", "The recipe is on the rack."),)
    return (("warning", f"{caution} Here they were found again, in this model."),)


def _name(each: Ingredient, known: ConceptList) -> str:
    """The concept's name, if this page can find it again."""
    how = each.how
    examples = all(isinstance(how.get(kind), list) for kind in ("positive", "negative"))
    word = each.name in known.words and how.get("positive") == each.name
    if not (word or (examples and each.name not in known.words)):
        raise CheckpointError(
            f"The recipe does not say how {each.name!r} is found in a way that this page knows. "
            "Use it from Python: interp.load_recipe(file).edits(model)."
        )
    return each.name


def _own(each: Ingredient) -> dict[str, Any]:
    texts = {kind: list(map(str, each.how[kind])) for kind in ("positive", "negative")}
    return {**texts, "words": list(each.words)}


def _widgets(each: Ingredient, slug: str, *, own: bool) -> dict[str, Any]:
    """The state of one concept's widgets."""
    method, (_, layer) = each.how.get("method"), each.edit.hook
    if method not in METHODS or not LOWEST <= each.dose <= HIGHEST:
        raise CheckpointError(
            f"This page knows doses from {LOWEST:g} to {HIGHEST:g} by {', '.join(METHODS)}; "
            f"{each.name!r} has {each.dose:g} by {method}. Use the recipe from Python: "
            "interp.load_recipe(file).edits(model)."
        )
    told = {f"dose_{slug}": each.dose, f"method_{slug}": method, f"layer_{slug}": int(layer)}
    if not own:
        told[f"where_{slug}"] = EVERYWHERE if each.edit.where == Where() else WRITTEN
    return told
