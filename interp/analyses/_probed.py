"""The examples of every variable of a world, split once for all checkpoints."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from interp.analyses._examples import Example, world_examples
from interp.analyses._probing import ProbeData, prepare
from interp.errors import NotEnoughDataError
from interp.protocols import Tokenizer
from interp.worlds.world import Story

MOST_EXAMPLES = 800


def probe_data(
    tokenizer: Tokenizer,
    stories: Sequence[Story],
    variables: Mapping[str, Sequence[str]],
    *,
    longest: int,
    seed: int,
) -> dict[str, ProbeData]:
    """Each variable's examples with their split: where it is asked, else where it holds.

    What is only stated is left out: there the word itself says it. So is what is too rare.
    """
    found = {}
    for variable, values in variables.items():
        examples = _examples(tokenizer, stories, variable, longest)
        with suppress(NotEnoughDataError):
            found[variable] = prepare(examples, tuple(values), seed)
    return found


def _examples(
    tokenizer: Tokenizer, stories: Sequence[Story], variable: str, longest: int
) -> Sequence[Example]:
    for at in ("asked", "state"):
        found = world_examples(tokenizer, stories, variable, at=at, max_tokens=longest)
        if len(found) > MOST_EXAMPLES:
            found = [e for e in found if e.story < found[MOST_EXAMPLES].story]
        if found:
            return found
    return []
