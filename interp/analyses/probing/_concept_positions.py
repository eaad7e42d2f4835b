"""Where a world's text is about to name a concept, found by the world's own reading."""

from collections.abc import Iterator, Sequence

from interp.core.alignment import token_range
from interp.core.protocols import Tokenizer
from interp.methods.data.examples import Example
from interp.worlds.world import Story, World

ConceptSentence = tuple[int, list[int], range, str]
"""Number of the story, its token ids, the tokens of the sentence, and the concept that it shows."""


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
    sentences = list(_concept_sentences(tokenizer, stories, world, among, longest))
    concepts_of: dict[int, set[str]] = {}
    for _, ids, positions, label in sentences:
        for i in positions:
            concepts_of.setdefault(ids[i], set()).add(label)
    slots = []
    for number, ids, positions, label in sentences:
        first = next((i for i in positions if concepts_of[ids[i]] == {label}), None)
        if first is not None:
            row = {"tokens": tuple(ids[:first]), "following": ids[first]}
            slots.append(Example(**row, label=label, story=number, kind=label))
    return slots


def _concept_sentences(
    tokenizer: Tokenizer, stories: Sequence[Story], world: World, among: Sequence[str], longest: int
) -> Iterator[ConceptSentence]:
    for number, story in enumerate(stories):
        ids, spans = tokenizer.encode_with_spans(story.text)
        for sentence in world.parse(story.text).sentences:
            concepts = {concept for concept in sentence.concepts if concept in among}
            if len(concepts) == 1:
                first, last = token_range(spans, sentence.span)
                yield number, ids, range(max(first, 1), min(last + 1, longest)), concepts.pop()
