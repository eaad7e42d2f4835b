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
        name: of the concept.
        dose: in shares of the site's median norm.
        edit: the addition of a dose of 1, or what stands for it.
        how: the arguments of `interp.concept` that found it (`world` by its name); may be empty.
        words: that are counted in the text where no world names the concept.
    """

    name: str
    dose: float
    edit: Add
    how: Mapping[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, concept: Direction, dose: float, *, where: Where | None = None, **told: Any
    ) -> "Ingredient":
        """A concept at a dose; `told` may rename it (`name`) or give `words` to count."""
        call = concept.provenance.call
        how = {part: call[part] for part in HOW if call.get(part) is not None}
        how["world"] = concept.provenance.world or None
        edit = concept.add(1.0, where=where)
        return cls(**{"name": concept.name, "dose": float(dose), "edit": edit, "how": how, **told})

    def add(self) -> Add:
        """The edit at its dose."""
        return replace(self.edit, scale=self.dose)


@dataclass(frozen=True, kw_only=True)
class SteeringRecipe:
    """What to steer with, and the text it was made for.

    Attributes:
        concepts: up to six.
        model: it was made with: `model`, `model_hash`, `source`, `step`, `d_model`, `n_layers`.
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

        Raises:
            ConfigError: more than six concepts, or sampling that is not known.
        """
        sizes = {"d_model": model.cfg.d_model, "n_layers": model.cfg.n_layers}
        told = describe_model(model) | sizes
        made = cls(concepts=tuple(concepts), model=told, prompt=prompt, sampling=sampling)
        _check(made)
        return made

    def edits(self, model: LanguageModel) -> list[Add]:
        """The edits for a model; warns when it is not the one the recipe was made with.

        Raises:
            ModelMismatchError: the directions do not fit this model.
        """
        self.fit(model)
        if told := self.caution(model):
            warnings.warn(told, stacklevel=2)
        return [each.add() for each in self.concepts]

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
        told = {
            "format": FORMAT,
            "model": dict(self.model),
            "prompt": self.prompt,
            "sampling": dict(self.sampling),
            "concepts": [_plain(each) for each in self.concepts],
        }
        return json.dumps({**told, "sha256": _digest(told)}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "SteeringRecipe":
        """The recipe that `to_json` wrote.

        Raises:
            CheckpointError: the text is something else, or was changed.
        """
        told = _object(text)
        mark = told.pop("sha256", None)
        if told.get("format") != FORMAT:
            raise _foreign(f"it does not say {FORMAT!r}")
        if mark != _digest(told):
            raise _foreign("it was damaged or changed after it was saved")
        try:
            made = cls(
                concepts=tuple(map(_revived, told["concepts"])),
                model=dict(told["model"]),
                prompt=str(told["prompt"]),
                sampling=dict(told["sampling"]),
            )
            _check(made)
        except (ConfigError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise _foreign(f"what it holds cannot be used ({error})") from error
        return made

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


def _plain(each: Ingredient) -> dict[str, Any]:
    [edit] = json.loads(to_json([each.edit]))
    told = {"name": each.name, "dose": each.dose, "words": list(each.words), "how": dict(each.how)}
    return {**told, "edit": edit}


def _revived(told: Mapping[str, Any]) -> Ingredient:
    [edit] = from_json(json.dumps([told["edit"]]))
    if not _is_direction(edit):
        raise ConfigError("an edit that does not add one direction at a number's strength")
    dose = float(told["dose"])
    if not math.isfinite(dose):
        raise ConfigError(f"the dose {dose}")
    name, words = str(told["name"]), tuple(map(str, told["words"]))
    return Ingredient(name=name, dose=dose, edit=edit, how=dict(told["how"]), words=words)


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
            f"A recipe holds one to {MOST_CONCEPTS} concepts; {len(recipe.concepts)} came."
        )
    for name, value in recipe.sampling.items():
        kind = SAMPLING.get(name)
        fits = isinstance(value, (int, kind)) if kind else False
        if isinstance(value, bool) or not (fits or (value is None and name == "top_k")):
            raise ConfigError(f"Sampling knows {', '.join(SAMPLING)}; {name} = {value!r} came.")
    for each in recipe.concepts:
        if len(each.edit.vector) != recipe.model.get("d_model"):
            raise ConfigError(f"The direction of {each.name!r} is not as wide as the model.")


def _object(text: str) -> dict[str, Any]:
    if len(text) > MOST_BYTES:
        raise _foreign(f"it is longer than {MOST_BYTES:,} characters")
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise _foreign("it is not JSON") from None
    if not isinstance(told, dict):
        raise _foreign("it is not a JSON object")
    return told


def _digest(told: Mapping[str, Any]) -> str:
    return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _foreign(why: str) -> CheckpointError:
    return CheckpointError(
        f"A steering recipe was needed, as Save recipe writes it; {why}. Save it again from where "
        "it was made."
    )
