"""Examples of two kinds: texts that show a concept and others, or a world's own mentions of it."""

from collections.abc import Sequence
from itertools import chain

import torch
from jaxtyping import Bool
from torch import Tensor

from interp.core.errors import ConfigError
from interp.core.protocols import LanguageModel
from interp.methods.data.examples import Example, world_examples
from interp.worlds.world import Story, World, check_name

Examples = tuple[list[Example], Bool[Tensor, " example"]]


def concept_group(world: World, word: str) -> tuple[str, ...]:
    """The words of the world's concept group that `word` belongs to.

    Raises:
        ConfigError: no group has it.
    """
    check_name(world.name, "concept", word, [*chain.from_iterable(world.concepts.values())])
    return next(tuple(words) for words in world.concepts.values() if word in words)


def text_examples(
    model: LanguageModel, positive: str | Sequence[str], negative: Sequence[str] | None
) -> Examples:
    """A text an example, and which of them are positive.

    Raises:
        ConfigError: a list of texts is missing.
    """
    if isinstance(positive, str) or not negative or isinstance(negative, str):
        raise ConfigError(
            "A concept needs lists of positive and negative texts, or a world and one of its words."
        )
    texts = [*positive, *negative]
    examples = []
    for number, text in enumerate(texts):
        ids = tuple(model.tokenizer.encode(text)[: model.cfg.n_ctx])
        examples.append(Example(tokens=ids, label="", story=number, kind=""))
    return examples, torch.arange(len(texts)) < len(positive)


def word_examples(
    model: LanguageModel,
    word: str | Sequence[str],
    world: World,
    at: str,
    stories: Sequence[Story],
) -> Examples:
    """The facts of the word's group as examples, and which of them are of the word.

    Raises:
        ConfigError: no group has the word.
    """
    if not isinstance(word, str):
        raise ConfigError("With a world, a concept is one of the world's concept words.")
    among = concept_group(world, word)
    variable = next(name for name, words in world.concepts.items() if word in words)
    examples = world_examples(model.tokenizer, stories, variable, at=at, max_tokens=model.cfg.n_ctx)
    examples = [example for example in examples if example.label in among]
    return examples, torch.tensor([example.label == word for example in examples], dtype=torch.bool)
