"""A steering recipe: concepts, doses, text and sampling in one file that can be passed on.

The file is JSON. It holds each direction itself, number by number, and how it was found, so that
the same texts come out of it, and so that it can be found again in another model.
"""

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import torch

from interp.core.edits import Add, Edit, Where, from_json, to_json
from interp.core.errors import CheckpointError, ConfigError, ModelMismatchError
from interp.core.files import read_text, write_text
from interp.core.plain_text import half_characters
from interp.core.protocols import LanguageModel
from interp.results.provenance import Provenance, describe_model

FORMAT = "interp steering recipe 1"
MOST_CONCEPTS = 6
MOST_BYTES = 4 * 2**20
HOW = ("positive", "negative", "site", "method", "at", "n_stories", "level", "seed")
SAMPLING = {"max_new_tokens": int, "temperature": float, "top_k": int, "seed": int}


class Direction(Protocol):
    """What a recipe needs of a concept, as `interp.concept` finds it."""

    name: str
    provenance: Provenance

    def add(self, dose: float = 1.0, *, where: Where | None = None) -> Add:
        """The edit that adds `dose` shares of the site's median norm."""


@dataclass(frozen=True, kw_only=True)
class Ingredient:
    """One concept of a recipe.

    Attributes:
        name: name of the concept.
        dose: strength, in shares of the site's median norm.
        edit: the addition of a dose of 1, or what stands for it.
        how: the arguments of `interp.concept` that found it (`world` by its name); may be empty.
        words: words that are counted in the text where no world names the concept.
    """

    name: str
    dose: float
    edit: Add
    how: Mapping[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, concept: Direction, dose: float, *, where: Where | None = None, **options: Any
    ) -> "Ingredient":
        """A concept at a dose.

        Args:
            concept: from `interp.concept`.
            dose: strength, in shares of the site's median norm.
            where: positions that are steered; None = the concept's own choice.
            options: `name`, another one than the concept's; `words` to count.
        """
        call = concept.provenance.call
        how = {part: call[part] for part in HOW if call.get(part) is not None}
        how["world"] = concept.provenance.world or None
        edit = concept.add(1.0, where=where)
        options = {"name": concept.name, **options}
        return cls(dose=float(dose), edit=edit, how=how, **options)

    def add(self) -> Add:
        """The edit at its dose."""
        return replace(self.edit, scale=self.dose)


@dataclass(frozen=True, kw_only=True)
class SteeringRecipe:
    """What to steer with, and the text it was made for.

    Attributes:
        concepts: one to six, each at its dose.
        model: what is known of the model it was made with: `model`, `model_hash`, `source`,
            `step`, `d_model`, `n_layers`.
        prompt: the text to continue; may be empty.
        sampling: options of `model.generate`: `max_new_tokens`, `temperature`, `top_k`, `seed`.
    """

    concepts: tuple[Ingredient, ...]
    model: Mapping[str, Any]
    prompt: str = ""
    sampling: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, model: LanguageModel, concepts: Sequence[Ingredient], prompt: str = "", **sampling: Any
    ) -> "SteeringRecipe":
        """A recipe for this model.

        Args:
            model: the model that the concepts were found in.
            concepts: one to six, each at its dose.
            prompt: the text to continue; may be empty.
            sampling: options of `model.generate`: `max_new_tokens`, `temperature`, `top_k`, `seed`.
        Raises:
            ConfigError: more than six concepts, or sampling that is not known.
        """
        sizes = {"d_model": model.cfg.d_model, "n_layers": model.cfg.n_layers}
        about = describe_model(model) | sizes
        recipe = cls(concepts=tuple(concepts), model=about, prompt=prompt, sampling=sampling)
        _check(recipe)
        return recipe

    def edits(self, model: LanguageModel) -> list[Add]:
        """The edits for a model; warns when it is not the one the recipe was made with.

        Raises:
            ModelMismatchError: the directions do not fit this model.
        """
        self.fit(model)
        if caution := self.caution(model):
            warnings.warn(caution, stacklevel=2)
        return [concept.add() for concept in self.concepts]

    def fit(self, model: LanguageModel) -> None:
        """Make sure that the directions have this model's width and its layers.

        Raises:
            ModelMismatchError: they do not.
        """
        sizes = {"d_model": model.cfg.d_model, "n_layers": model.cfg.n_layers}
        wrong = [name for name, size in sizes.items() if self.model.get(name) != size]
        if wrong:
            name = wrong[0]
            raise ModelMismatchError(
                f"This recipe was made for {self.model.get('model')} with {name} = "
                f"{self.model.get(name)}; {model.name} has {name} = {sizes[name]}. Its directions "
                "do not fit: find the concepts again in this model."
            )

    def caution(self, model: LanguageModel) -> str:
        """A sentence when the recipe was made with other weights; empty when with these."""
        if self.model.get("model_hash") == model.hash:
            return ""
        return (
            f"This recipe was made with {self.model.get('model')} (weights "
            f"{self.model.get('model_hash')}, step {self.model.get('step')}); this is {model.name} "
            f"(weights {model.hash}, step {model.step}). Directions do not carry over from one "
            "model to another, so the same doses may do something else."
        )

    def to_json(self) -> str:
        """The recipe as text, every number exact."""
        record = {
            "format": FORMAT,
            "model": dict(self.model),
            "prompt": self.prompt,
            "sampling": dict(self.sampling),
            "concepts": [_plain(concept) for concept in self.concepts],
        }
        signed = {**record, "sha256": _digest(record)}
        return json.dumps(signed, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "SteeringRecipe":
        """The recipe that `to_json` wrote.

        Raises:
            CheckpointError: the text is something else, or was changed.
        """
        record = _object(text)
        mark = record.pop("sha256", None)
        if record.get("format") != FORMAT:
            raise _foreign(f"a file that does not say {FORMAT!r}")
        if mark != _digest(record):
            raise _foreign("one that was damaged or changed after it was saved")
        try:
            recipe = cls(
                concepts=tuple(map(_revived, record["concepts"])),
                model=dict(record["model"]),
                prompt=str(record["prompt"]),
                sampling=dict(record["sampling"]),
            )
            _check(recipe)
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
            raise _foreign(f"one whose values cannot be used ({error!s:.300})") from error
        return recipe

    def save(self, path: str | Path) -> Path:
        """Write the recipe, whole or not at all; returns the path."""
        write_text(path, self.to_json())
        return Path(path)


def load_recipe(path: str | Path) -> SteeringRecipe:
    """The recipe of a file.

    Raises:
        CheckpointError: no such file, or no recipe.
    Example:
        >>> recipe = load_recipe("happy.recipe.json")  # doctest: +SKIP
        >>> model.generate(recipe.prompt, edits=recipe.edits(model))  # doctest: +SKIP
    """
    return SteeringRecipe.from_json(read_text(path))


def _plain(concept: Ingredient) -> dict[str, Any]:
    [edit] = json.loads(to_json([concept.edit]))
    return {
        "name": concept.name,
        "dose": concept.dose,
        "words": list(concept.words),
        "how": dict(concept.how),
        "edit": edit,
    }


def _revived(record: Mapping[str, Any]) -> Ingredient:
    [edit] = from_json(json.dumps([record["edit"]]))
    if not _is_direction(edit):
        raise ConfigError("an edit that does not add one direction at a number's strength")
    dose = float(record["dose"])
    if not math.isfinite(dose):
        raise ConfigError(f"the dose {dose}")
    name, words = str(record["name"]), tuple(map(str, record["words"]))
    return Ingredient(name=name, dose=dose, edit=edit, how=dict(record["how"]), words=words)


def _is_direction(edit: Edit) -> bool:
    return (
        isinstance(edit, Add)
        and isinstance(edit.hook, tuple)
        and isinstance(edit.scale, int | float)
        and edit.vector.ndim == 1
        and bool(torch.isfinite(edit.vector).all())
    )


def _check(recipe: SteeringRecipe) -> None:
    if not 0 < len(recipe.concepts) <= MOST_CONCEPTS:
        raise ConfigError(
            f"A recipe needs one to {MOST_CONCEPTS} concepts; got {len(recipe.concepts)}. Leave "
            "some out, or add one."
        )
    for name, value in recipe.sampling.items():
        kind = SAMPLING.get(name)
        fits = isinstance(value, (int, kind)) if kind else False
        if isinstance(value, bool) or not (fits or (value is None and name == "top_k")):
            raise ConfigError(
                f"Sampling needs whole numbers or numbers for {', '.join(SAMPLING)}; got "
                f"{name!r:.40} = {value!r:.80}."
            )
    if half := half_characters(recipe.to_json()):
        raise ConfigError(f"A recipe's texts need whole characters; it has {half}.")
    for concept in recipe.concepts:
        if len(concept.edit.vector) != recipe.model.get("d_model"):
            raise ConfigError(f"The direction of {concept.name!r} is not as wide as the model.")


def _object(text: str) -> dict[str, Any]:
    if len(text) > MOST_BYTES:
        raise _foreign(f"a file of more than {MOST_BYTES:,} characters")
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        raise _foreign("a file that is not JSON") from None
    if not isinstance(record, dict):
        raise _foreign("JSON that is no object")
    return record


def _digest(record: Mapping[str, Any]) -> str:
    return sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _foreign(what: str) -> CheckpointError:
    return CheckpointError(
        f"Steering needs a recipe as Save recipe writes it; got {what}. Save it again from where "
        "it was made."
    )
