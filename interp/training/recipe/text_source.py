"""Where a training command's text comes from, and what is known to work on it."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp.core.errors import ConfigError

if TYPE_CHECKING:
    from interp.training.data.corpus import Corpus
    from interp.training.recipe.config import TrainConfig
    from interp.training.recipe.recipes import TrainingRecipe

TEXT_VOCABULARY = 1024


@dataclass(frozen=True, kw_only=True)
class TextSource:
    """A corpus to be written, or the one that a run has already.

    Attributes:
        asked: the options that decide the corpus, as JSON.
        write: writes the corpus into a folder.
        recipe: a recipe for this world and preset; None where none is known.
    """

    asked: Mapping[str, Any]
    write: "Callable[[Path], Corpus]"
    recipe: "TrainingRecipe | None" = None

    def check(self, given: Mapping[str, Any]) -> None:
        """Check settings one by one, before there is any text.

        Args:
            given: see `config`; the model's fields are checked there.
        Raises:
            ConfigError: unknown setting, or a value of another kind or out of its range.
        """
        from interp.training.recipe.config import TrainConfig

        TrainConfig.checked(model_fields(given)[1])

    def config(self, d_vocab: int, preset: str, given: Mapping[str, Any]) -> "TrainConfig":
        """The run's settings: the recipe's where there is one, and over them what was given.

        Args:
            d_vocab: vocabulary size of the corpus.
            preset: name of the model's preset.
            given: fields of `TrainConfig`, and fields of `GPTConfig` as `model.name`.
        Raises:
            ConfigError: unknown preset or setting, or values that do not go together.
        """
        from interp.models.io.presets import get_preset
        from interp.training.recipe.config import TrainConfig

        shape, rest = model_fields(given)
        rest = TrainConfig.checked(rest)
        model = get_preset(preset, **{"d_vocab": d_vocab, **shape})
        if self.recipe is None:
            known = {"context": min(TrainConfig.context, model.n_ctx)}
        else:
            known = self.recipe.config(model.d_vocab, steps=rest.get("steps")).to_dict()
        return TrainConfig.from_dict({**known, **rest, "model": model})


def model_fields(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of the model's settings, given as `model.name`, and those of the run.

    Raises:
        ConfigError: the model as a whole was given.

    Example:
        >>> model_fields({"model.n_layers": 2, "steps": 10})
        ({'n_layers': 2}, {'steps': 10})
    """
    if "model" in settings:
        raise ConfigError(
            "A model is set field by field, as in model.n_layers=2; got model="
            f"{str(settings['model'])[:80]}."
        )
    shape = {k.removeprefix("model."): v for k, v in settings.items() if k.startswith("model.")}
    return shape, {k: v for k, v in settings.items() if not k.startswith("model.")}


def text_source(data: Path, tokenizer: str | None, vocab: int | None) -> TextSource:
    """The user's own text."""
    from interp.training.data.sources import write_text_corpus

    options = {"tokenizer": tokenizer or "bpe", "d_vocab": vocab or TEXT_VOCABULARY}
    return TextSource(
        asked={"data": str(data.resolve()), **options},
        write=lambda folder: write_text_corpus(data, folder, **options),
    )


def world_source(
    name: str,
    preset: str,
    tokenizer: str | None,
    vocab: int | None,
    documents: int | None,
    seed: int,
) -> TextSource:
    """A world's text: by its recipe where there is one for this preset.

    Raises:
        ConfigError: there is no such world.
    """
    from interp.training.data.sources import write_world_corpus
    from interp.training.recipe.recipes import demo_recipe
    from interp.worlds import load_world

    world, recipe = load_world(name), demo_recipe(seed)
    if (recipe.world, recipe.preset) == (name, preset) and tokenizer is None and vocab is None:
        return TextSource(
            asked={"world": name, "recipe": preset, "documents": documents, "seed": seed},
            write=lambda folder: recipe.write_corpus(folder, n_documents=documents),
            recipe=recipe,
        )
    options: dict[str, Any] = {"tokenizer": tokenizer or "words", "seed": seed}
    options |= {"d_vocab": vocab} if vocab else {}
    options |= {"n_documents": documents} if documents else {}
    return TextSource(
        asked={"world": name, **options},
        write=lambda folder: write_world_corpus(world, folder, **options),
    )


def chosen_source(
    data: Path | None,
    world_name: str | None,
    preset: str,
    tokenizer: str | None,
    vocab: int | None,
    documents: int | None,
    seed: int,
) -> TextSource:
    """The one source of text that was named.

    Raises:
        ConfigError: none or two were; or there is no such world.
    """
    if data is not None and world_name is None:
        return text_source(data, tokenizer, vocab)
    if world_name is not None and data is None:
        return world_source(world_name, preset, tokenizer, vocab, documents, seed)
    raise ConfigError("Training needs either --data FILE_OR_FOLDER or --world NAME.")


def sorted_source(source: TextSource, order: str, world_name: str | None) -> TextSource:
    """The same text with its documents sorted into levels; the recipe's own levels are gone then.

    Args:
        source: source of the text.
        order: see `interp.training.data.ordering.difficulty_by_name`.
        world_name: name of the world that writes the text; None for the user's own text.
    Raises:
        ConfigError: no such order.
    """
    from interp.training.data.ordering import difficulty_by_name, write_ordered_corpus

    difficulty = difficulty_by_name(order, world_name)

    def write(folder: Path) -> "Corpus":
        unsorted = folder.with_name(f"{folder.name}-unsorted")
        try:
            return write_ordered_corpus(source.write(unsorted), folder, difficulty, label=order)
        finally:
            shutil.rmtree(unsorted, ignore_errors=True)

    recipe = source.recipe and replace(source.recipe, stages=((1.0, {}),))
    return replace(source, asked={**source.asked, "order_by": order}, write=write, recipe=recipe)


def paced_config(
    config: "TrainConfig", corpus: "Corpus", name: str, given: Mapping[str, Any]
) -> "TrainConfig":
    """The recipe with the levels of its corpus paced as the name says.

    Args:
        config: the recipe of the run.
        corpus: the corpus, whose levels stand easiest first.
        name: see `interp.training.recipe.pacing.pacing_by_name`.
        given: the settings that were given besides.
    Raises:
        ConfigError: no such name, one level only, or stages were given as well.
    """
    from interp.training.recipe.pacing import paced, pacing_by_name

    if "stages" in given:
        raise ConfigError(
            "A curriculum is either named or given stage by stage; got both. Leave out "
            "--curriculum or the setting `stages`."
        )
    pacing, order = pacing_by_name(name)
    return replace(config, stages=paced(corpus.levels(), config.steps, pacing=pacing, order=order))
