"""Up to six concepts, each with a slider for its dose and the choice of its direction."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboards.page import measurements
from dashboards.page.link import linked
from dashboards.page.markdown import plain
from dashboards.page.model_list import Entry
from dashboards.pickers.choice import listed_choice
from dashboards.pickers.own_concepts import ConceptList
from dashboards.steering import dose_zones
from dashboards.steering.dose_zones import HIGHEST, LOWEST
from interp.analyses.interventions.steering import Steering
from interp.analyses.probing.concept import Concept
from interp.core.edits import Add, Where
from interp.core.errors import NotEnoughDataError
from interp.core.protocols import LanguageModel
from interp.steering_recipe import MOST_CONCEPTS, Ingredient
from interp.worlds.world import World

METHODS = {
    "gradient": "Natural gradient of its words",
    "mean_difference": "Difference of means",
    "probe": "Weights of a linear probe",
    "pca": "First principal axis",
}
USUAL_DOSE, LOOKED_AT = 0.75, 12
WRITTEN, EVERYWHERE = "where its words come next", "everywhere"


@dataclass(frozen=True, kw_only=True)
class SteeredConcept:
    """A concept and the dose at which it is added.

    Attributes:
        name: as the user knows it.
        slug: part of the keys of its widgets.
        concept: the direction and how it was found.
        dose: strength, in shares of the median norm at the site.
        where: the positions that are edited.
        curve: its dose curve; None where it has not been measured.
        words: to count in the text, for a concept that no world names.
    """

    name: str
    slug: str
    concept: Concept
    dose: float
    where: Where
    curve: Steering | None = None
    words: tuple[str, ...] = ()

    def edit(self) -> Add:
        """The addition at its dose."""
        return self.concept.add(self.dose, where=self.where)

    def ingredient(self) -> Ingredient:
        """The concept as part of a steering recipe."""
        labels = {"name": self.name, "words": self.words}
        return Ingredient.of(self.concept, self.dose, where=self.where, **labels)


def concept_arguments(
    model: LanguageModel,
    word: str,
    world: World,
    *,
    method: str = "gradient",
    layer: int | None = None,
) -> dict[str, Any]:
    """The arguments of `interp.concept` for a word of a world; by default those that steer best."""
    layer = last_read_layer(model) if layer is None else layer
    site = ("resid_post", layer)
    arguments = {"positive": word, "world": world, "site": site, "method": method, "seed": 0}
    variable = next(name for name, words in world.concepts.items() if word in words)
    return arguments if variable in _questions(world) else arguments | {"at": "stated"}


def last_read_layer(model: LanguageModel) -> int:
    """The last layer that another one reads: after the very last an edit writes the answer."""
    return max(model.cfg.n_layers - 2, 0)


def _questions(world: World) -> set[str]:
    """What the world's stories ask for; other facts are found where they are stated."""
    stories = (world.sample(number) for number in range(LOOKED_AT))
    return {question.kind for story in stories for question in story.questions}


def concept_sliders(
    model: LanguageModel, entry: Entry, concepts: ConceptList
) -> list[SteeredConcept]:
    """Choose concepts and their doses.

    Raises:
        NotEnoughDataError: none is chosen.
    """
    selected = linked(
        st.multiselect, "Concepts", concepts.names, default=concepts.words[:1],
        max_selections=MOST_CONCEPTS, key="concepts",
        help="Up to six. Below you can make your own from two lists of examples.",
    )  # fmt: skip
    if not selected:
        raise NotEnoughDataError(
            "Steering needs a concept; none is chosen. Choose one above, or make one below."
        )
    columns = st.columns(min(len(selected), 3), gap="medium")
    steered = []
    for number, name in enumerate(selected):
        with columns[number % len(columns)].container(border=True, gap="xsmall"):
            steered.append(_row(model, entry, concepts, name))
    return steered


def _row(model: LanguageModel, entry: Entry, concepts: ConceptList, name: str) -> SteeredConcept:
    """One concept: its dose, its zones, its direction."""
    slug = concepts.slug(name)
    dose = linked(
        st.slider, plain(name), LOWEST, HIGHEST, USUAL_DOSE, 0.05, key=f"dose_{slug}",
        format="%+.2f",
        help="Steering strength, in shares of the median norm of the activations: 0 = unsteered, "
        "negative = away from the concept.",
    )  # fmt: skip
    below = st.container(gap=None)
    with st.popover("Direction and layer", icon=":material/tune:", type="tertiary"):
        concept, where = _concept(model, entry, concepts, name, slug)
        words = tuple((concepts.examples(name) or {"words": ()})["words"])
    with below:
        arguments = dose_zones.curve_arguments(concept, where, concepts.world, words)
        curve = dose_zones.dose_curve(model, arguments, slug)
        if curve is not None:
            dose_zones.zone_strip(curve, name, slug)
    return SteeredConcept(
        name=name, slug=slug, concept=concept, dose=dose, where=where, words=words, curve=curve
    )


def _concept(
    model: LanguageModel, entry: Entry, concepts: ConceptList, name: str, slug: str
) -> tuple[Concept, Where]:
    """The concept by the chosen method and layer, and the positions where it is added."""
    own = concepts.examples(name)
    methods = {name: METHODS[name] for name in METHODS if own is None or name != "gradient"}
    help_text = (
        "Differences of means separate examples, but hardly steer this kind of model; gradients "
        "do, and often cannot be read."
    )
    method = listed_choice("Direction", methods, f"method_{slug}", help=help_text)
    last = model.cfg.n_layers - 1
    usual = last_read_layer(model) if own is None else model.cfg.n_layers // 2
    layer = linked(st.number_input, "After layer", 0, last, usual, key=f"layer_{slug}")
    if own is not None:
        texts = {kind: own[kind] for kind in ("positive", "negative")}
        site = ("resid_post", layer)
        arguments = {**texts, "site": site, "method": method, "seed": 0}
        return measurements.measured("concept", model, **arguments), Where()
    arguments = concept_arguments(model, name, concepts.world, method=method, layer=layer)
    concept = measurements.measured("concept", model, **arguments)
    if use := concept.use:
        st.caption(plain(use))
    places = [WRITTEN, EVERYWHERE] if concept.slots else [EVERYWHERE]
    where = listed_choice("Positions", places, f"where_{slug}")
    return concept, concept.where_written if where == WRITTEN else Where()
