"""Up to six concepts, each with its dose: where they come from and how they are picked."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboards.page import header, measurements
from dashboards.page.markdown import plain
from dashboards.page.model_list import Entry
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
    "gradient": "Gradient of the log-odds",
    "mean_difference": "Difference of means",
    "probe": "Weights of a linear probe",
    "pca": "First principal axis",
}
USUAL_DOSE, LOOKED_AT = 0.75, 12
WRITTEN, EVERYWHERE = "where its words come next", "everywhere"


@dataclass(frozen=True, kw_only=True)
class SteeredConcept:
    """A concept on the rack.

    Attributes:
        name: as the user knows it.
        slug: of its widgets' keys.
        concept: its direction.
        dose: in shares of the site's median norm.
        where: positions that are edited.
        curve: its dose curve, where that is known.
        words: that are counted where no world names it.
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
        """The same as part of a recipe."""
        told = {"name": self.name, "words": self.words}
        return Ingredient.of(self.concept, self.dose, where=self.where, **told)


def concept_arguments(
    model: LanguageModel,
    word: str,
    world: World,
    *,
    method: str = "gradient",
    layer: int | None = None,
) -> dict[str, Any]:
    """The arguments of `interp.concept` for a word of a world; by default those that steer best."""
    layer = model.cfg.n_layers - 1 if layer is None else layer
    site = ("resid_post", layer)
    asked = {"positive": word, "world": world, "site": site, "method": method, "seed": 0}
    variable = next(name for name, words in world.concepts.items() if word in words)
    return asked if variable in _questions(world) else asked | {"at": "stated"}


def _questions(world: World) -> set[str]:
    """What the world's stories ask for; other facts are found where they are stated."""
    stories = (world.sample(number) for number in range(LOOKED_AT))
    return {question.kind for story in stories for question in story.questions}


def rack(model: LanguageModel, entry: Entry, known: ConceptList) -> list[SteeredConcept]:
    """Pick concepts and their doses.

    Raises:
        NotEnoughDataError: none is picked.
    """
    names = [*known.words, *known.own]
    picked = st.multiselect(
        "Concepts", names, default=names[:1], max_selections=MOST_CONCEPTS, key="concepts",
        help="Up to six; make your own from two lists of examples below.", **header.LINK,
    )  # fmt: skip
    if not picked:
        raise NotEnoughDataError("Nothing to steer with yet: pick a concept, or make one below.")
    columns = st.columns(min(len(picked), 3), gap="medium")
    held = []
    for number, name in enumerate(picked):
        with columns[number % len(columns)].container(border=True, gap="xsmall"):
            held.append(_row(model, entry, known, name))
    return held


def _row(model: LanguageModel, entry: Entry, known: ConceptList, name: str) -> SteeredConcept:
    """One concept: its dose, its zones, and how it is found."""
    slug = known.slug(name)
    dose = st.slider(
        plain(name), LOWEST, HIGHEST, USUAL_DOSE, 0.05, key=f"dose_{slug}", format="%+.2f",
        help="In shares of the site's median norm: 0 = the model as it is, below 0 = away from it.",
        **header.LINK,
    )  # fmt: skip
    below = st.container(gap=None)
    with st.popover("How it is found", icon=":material/tune:", type="tertiary"):
        concept, where = _found(model, entry, known, name, slug)
        words = tuple(known.own[name]["words"]) if name in known.own else ()
    with below:
        told = {"slug": slug}
        curve = dose_zones.curve(model, entry, concept, where, known.world, words, **told)
        if curve is not None:
            dose_zones.strip(curve, name, slug)
    return SteeredConcept(
        name=name, slug=slug, concept=concept, dose=dose, where=where, words=words, curve=curve
    )


def _found(
    model: LanguageModel, entry: Entry, known: ConceptList, name: str, slug: str
) -> tuple[Concept, Where]:
    """The concept by the method and at the layer that are picked, and where it is added."""
    own = known.own.get(name)
    methods = [method for method in METHODS if own is None or method != "gradient"]
    method = st.selectbox(
        "Direction by", methods, format_func=METHODS.__getitem__, key=f"method_{slug}",
        help="Differences of means tell examples apart, but hardly steer this kind of model; "
        "gradients are made to write.", **header.LINK,
    )  # fmt: skip
    last = model.cfg.n_layers - 1
    layer = st.number_input("After layer", 0, last, last, key=f"layer_{slug}", **header.LINK)
    if own is not None:
        texts = {kind: own[kind] for kind in ("positive", "negative")}
        site = ("resid_post", layer)
        asked = {**texts, "site": site, "method": method, "seed": 0}
        return measurements.measured("concept", model, **asked), Where()
    asked = concept_arguments(model, name, known.world, method=method, layer=layer)
    concept = measurements.measured("concept", model, **asked)
    places = [WRITTEN, EVERYWHERE] if concept.slots else [EVERYWHERE]
    where = st.selectbox("Added", places, key=f"where_{slug}", **header.LINK)
    return concept, concept.where_written if where == WRITTEN else Where()
