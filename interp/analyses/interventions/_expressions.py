"""Whether a concept moves as a whole: its gain in each kind of sentence that shows it.

A mood is shown by its word, by an answer and by a gait. A push on the word's own logit moves the
first; a direction that makes the mood what the story goes on with moves all of them. So may a push
on the logits of all their tokens, which knows nothing of moods: where it does as much, that they
move together is no evidence of a concept beyond its words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from interp.analyses.interventions._dose_response import DoseExperiment, gain_of
from interp.analyses.interventions._logit_bias import Push
from interp.core.statistics.intervals import Interval, plain
from interp.methods.data.examples import sample_stories
from interp.worlds.world import World

LONGER = 3
"""Texts are this many times longer than those of the dose curve: answers come late in a story."""
N_STORIES = 60


def expressions_of(world: World | None, among: Sequence[str], **options: object) -> tuple[str, ...]:
    """The kinds of sentence in which the world's stories show the words of a group."""
    if world is None or not among:
        return ()
    stories = sample_stories(world, N_STORIES, split="train", **options)
    sentences = [each for story in stories for each in world.parse(story.text).sentences]
    kinds = (each.kind for each in sentences if set(each.concepts) & set(among))
    return tuple(dict.fromkeys(kinds))


def expression_gains(
    experiment: DoseExperiment,
    push: Push,
    dose: float,
    world: World | None,
    word: str,
    among: Sequence[str],
    kinds: Sequence[str],
) -> dict[str, Interval]:
    """Of each kind of sentence, the word's share of the group's mentions less that without an edit.

    Args:
        experiment: its prompts, positions and sampling; the texts are longer.
        push: site and vector of a dose of 1.
        dose: at which it is added.
        world: reads the texts.
        word: the concept.
        among: its group.
        kinds: of sentence.
    Returns:
        An interval a kind over prompts; nan where the group is not mentioned.
    """

    if world is None or not kinds:
        return {}

    def read(prompt: str, text: str) -> dict[str, tuple[int, int]]:
        sentences = world.parse(prompt + text).sentences
        counts = dict.fromkeys(kinds, (0, 0))
        for sentence in sentences:
            mentions = [concept for concept in sentence.concepts if concept in among]
            if sentence.kind in counts and sentence.span[1] > len(prompt):
                hits, tries = counts[sentence.kind]
                counts[sentence.kind] = (hits + mentions.count(word), tries + len(mentions))
        return counts

    longest = max(len(experiment.model.tokenizer.encode(text)) for text in experiment.prompts)
    room = max(experiment.model.cfg.n_ctx - longest, experiment.n_tokens)
    longer = replace(experiment, read=read, n_tokens=min(LONGER * experiment.n_tokens, room))
    ratios, _ = longer.measure(push.site, push.vector[None], (0.0, dose))
    return {kind: gain_of(ratios[kind], 1, 0, experiment.seed) for kind in kinds}


def counted(gains: Mapping[str, Interval]) -> list[str]:
    """The expressions that the texts hold, with and without the edit."""
    return [kind for kind, gain in gains.items() if gain.value == gain.value]


def moved(gains: Mapping[str, Interval]) -> list[str]:
    """The expressions whose gain is above 0, its interval too."""
    return [kind for kind, gain in gains.items() if gain.low > 0]


def move_together(gains: Mapping[str, Interval]) -> bool:
    """Whether there are two expressions or more, and all of them gain."""
    return len(counted(gains)) > 1 and moved(gains) == counted(gains)


def words_suffice(gains: Mapping[str, Interval], bias: Mapping[str, Interval]) -> bool:
    """Whether all expressions gain, and none is shown to gain more than under the logit bias."""
    unknown = not set(counted(gains)) <= set(counted(bias))
    return (
        move_together(gains)
        and not unknown
        and not any(gains[kind].above(bias[kind]) for kind in counted(gains))
    )


def expressions_told(gains: Mapping[str, Interval]) -> str:
    """Which expressions move, and each one's gain; empty with fewer than two."""
    known = counted(gains)
    if len(known) < 2:
        return ""
    values = ", ".join(f"{kind} {plain(gains[kind], signed=True)}" for kind in known)
    return f"{_verdict(gains)}: {values}"


def part_warning(gains: Mapping[str, Interval]) -> str:
    """A warning behind a space where not all expressions move; else empty."""
    if len(counted(gains)) < 2 or move_together(gains):
        return ""
    return f" WARNING: {_verdict(gains)}, not the concept as a whole."


def _verdict(gains: Mapping[str, Interval]) -> str:
    names = moved(gains)
    if move_together(gains):
        return f"all {len(names)} expressions move together"
    if len(names) == 1:
        return f"1 of {len(counted(gains))} expressions is shown to move ('{names[0]}')"
    return f"{len(names) or 'none'} of {len(counted(gains))} expressions are shown to move"
