"""Save the steered concepts as a file, and load them from one."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboards.page.downloads import download_button
from dashboards.page.markdown import plain
from dashboards.pickers.own_concepts import ConceptList
from dashboards.steering.concept_sliders import EVERYWHERE, METHODS, WRITTEN, SteeredConcept
from dashboards.steering.dose_zones import HIGHEST, LOWEST
from interp.core.edits import Where
from interp.core.errors import CheckpointError, InterpError
from interp.core.protocols import LanguageModel
from interp.steering_recipe import MOST_BYTES, Ingredient, SteeringRecipe

MESSAGES = "recipe_told"
KEYS = {"max_new_tokens": "length", "temperature": "temperature", "seed": "seed"}


def recipe_form(
    model: LanguageModel,
    concepts: ConceptList,
    steered: Sequence[SteeredConcept],
    prompt: str,
    options: dict[str, Any],
) -> None:
    """A button that saves the recipe and a field that loads one."""
    st.subheader("Recipe", anchor=False)
    st.caption("Concepts, doses, text and sampling options in one file.")
    if steered:
        _saving(model, steered, prompt, options)
    st.file_uploader(
        "Load a recipe", type="json", key="recipe_file", on_change=_load, args=(model, concepts),
        max_upload_size=max(1, MOST_BYTES // 2**20),
    )  # fmt: skip
    for kind, message in st.session_state.get(MESSAGES, ()):
        show = {"error": st.error, "warning": st.warning}.get(kind, st.success)
        show(plain(message))


def _saving(
    model: LanguageModel, steered: Sequence[SteeredConcept], prompt: str, options: dict[str, Any]
) -> None:
    recipe = SteeringRecipe.of(
        model, [concept.ingredient() for concept in steered], prompt, **options
    )
    name = f"{'-'.join(concept.slug for concept in steered)}.recipe.json"
    help_text = (
        "From Python: interp.load_recipe(file).edits(model); from a shell: interp generate MODEL "
        "TEXT --recipe FILE"
    )
    download_button("Save recipe", name, recipe.to_json(), key="save_recipe", help=help_text)


def _load(model: LanguageModel, concepts: ConceptList) -> None:
    """Set the page to an uploaded recipe, or keep the message that says why it was refused."""
    state = st.session_state
    file = state.get("recipe_file")
    if file is None:
        state[MESSAGES] = ()
        return
    try:
        state[MESSAGES] = take(model, concepts, file.getvalue())
    except InterpError as error:
        state[MESSAGES] = (("error", str(error)),)


def take(
    model: LanguageModel, concepts: ConceptList, content: bytes
) -> tuple[tuple[str, str], ...]:
    """Set every widget to what a recipe says; returns the messages, each with its kind.

    Raises:
        CheckpointError: it is no recipe, or holds a concept that this page cannot compute.
        ModelMismatchError: its directions do not fit the model.
    """
    try:
        recipe = SteeringRecipe.from_json(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise CheckpointError(
            "Steering needs a recipe as Save recipe writes it; got a file that is not UTF-8 text. "
            "Save it again from where it was made."
        ) from None
    recipe.fit(model)
    state: dict[str, Any] = {
        "concepts": [_name(ingredient, concepts) for ingredient in recipe.concepts]
    }
    own = {
        ingredient.name: _own(ingredient)
        for ingredient in recipe.concepts
        if ingredient.name not in concepts.words
    }
    concepts.own.update(own)
    for ingredient in recipe.concepts:
        state |= _widgets(ingredient, concepts.slug(ingredient.name), own=ingredient.name in own)
    state["prompt"] = recipe.prompt
    state |= {KEYS[name]: value for name, value in recipe.sampling.items() if name in KEYS}
    state["top_k"] = recipe.sampling.get("top_k") or 0
    st.session_state.update(state)
    caution = recipe.caution(model)
    if not caution:
        return (("success", "The recipe was loaded."),)
    return (("warning", f"{caution} The directions were computed again, in this model."),)


def _name(ingredient: Ingredient, concepts: ConceptList) -> str:
    """The concept's name, if this page can find it again."""
    how = ingredient.how
    examples = all(isinstance(how.get(kind), list) for kind in ("positive", "negative"))
    word = ingredient.name in concepts.words and how.get("positive") == ingredient.name
    if not (word or (examples and ingredient.name not in concepts.words)):
        raise CheckpointError(
            "This page needs to know how a concept is computed; the recipe gives no method that "
            f"it has for {ingredient.name!r}. Use the recipe from Python: "
            "interp.load_recipe(file).edits(model)."
        )
    return ingredient.name


def _own(ingredient: Ingredient) -> dict[str, Any]:
    texts = {kind: list(map(str, ingredient.how[kind])) for kind in ("positive", "negative")}
    return {**texts, "words": list(ingredient.words)}


def _widgets(ingredient: Ingredient, slug: str, *, own: bool) -> dict[str, Any]:
    """The state of one concept's widgets."""
    method, (_, layer) = ingredient.how.get("method"), ingredient.edit.hook
    if method not in METHODS or not LOWEST <= ingredient.dose <= HIGHEST:
        raise CheckpointError(
            f"This page needs doses from {LOWEST:g} to {HIGHEST:g} by {', '.join(METHODS)}; "
            f"{ingredient.name!r} has dose {ingredient.dose:g} by {method}. Use the recipe from "
            "Python: interp.load_recipe(file).edits(model)."
        )
    state = {f"dose_{slug}": ingredient.dose, f"method_{slug}": method, f"layer_{slug}": int(layer)}
    if not own:
        state[f"where_{slug}"] = EVERYWHERE if ingredient.edit.where == Where() else WRITTEN
    return state
