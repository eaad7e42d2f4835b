"""Where a world's text is about to name a concept, found by the world's own reading."""

from collections.abc import Iterator, Sequence

from interp.core.alignment import token_range
from interp.core.protocols import Tokenizer
from interp.methods.data.examples import Example
from interp.worlds.world import Story, World

Told = tuple[int, list[int], range, str]


def writing_slots(
    tokenizer: Tokenizer, stories: Sequence[Story], world: World, among: Sequence[str], longest: int
) -> list[Example]:
    """The positions before the first token of a sentence that gives away which concept it shows.

    Such a token stands in sentences that show one concept of the group and in none that show
    another (` happy`, ` Happy`, ` skips`).

    Args:
        tokenizer: of the model that will be read.
        stories: to look through.
        world: reads them back.
        among: the group's words.
        longest: tokens of a story that are looked at.
    Returns:
        Examples whose label is the concept and whose `following` is that token.
    """
    told = list(_told(tokenizer, stories, world, among, longest))
    owners: dict[int, set[str]] = {}
    for _, ids, places, label in told:
        for i in places:
            owners.setdefault(ids[i], set()).add(label)
    slots = []
    for number, ids, places, label in told:
        first = next((i for i in places if owners[ids[i]] == {label}), None)
        if first is not None:
            row = {"tokens": tuple(ids[:first]), "following": ids[first]}
            slots.append(Example(**row, label=label, story=number, kind=label))
    return slots


def _told(
    tokenizer: Tokenizer, stories: Sequence[Story], world: World, among: Sequence[str], longest: int
) -> Iterator[Told]:
    """Each sentence that shows one concept: its story, the story's tokens, which are its own."""
    for number, story in enumerate(stories):
        ids, spans = tokenizer.encode_with_spans(story.text)
        for sentence in world.parse(story.text).sentences:
            shown = {concept for concept in sentence.concepts if concept in among}
            if len(shown) == 1:
                first, last = token_range(spans, sentence.span)
                yield number, ids, range(max(first, 1), min(last + 1, longest)), shown.pop()
