"""What a model writes when it goes on from the opening of a story, read back by the world."""

from collections.abc import Sequence

import torch

from interp.core.errors import NotEnoughDataError, WorldError
from interp.core.progress import progress_range
from interp.core.protocols import LanguageModel
from interp.core.statistics.intervals import Interval, clopper_pearson, pooled_rate
from interp.methods.untrained import untrained_twins
from interp.worlds.world import Parse, Story, World

OPENING = 2
OWN_TEXT, UNTRAINED, MODEL = "world's own text", "untrained model", "model"
BATCH = 64


def openings(world: World, stories: Sequence[Story], n: int) -> list[tuple[str, str]]:
    """Opening (the first two sentences) and rest of `n` stories, from the first again when used up.

    Raises:
        NotEnoughDataError: no story is long enough.
    """
    parts = []
    for story in stories[:n]:
        sentences = world.parse(story.text).sentences
        if len(sentences) > OPENING:
            end = sentences[OPENING - 1].span[1]
            parts.append((story.text[:end], story.text[end:]))
    if n and not parts:
        raise NotEnoughDataError(
            f"Continuations need stories of more than {OPENING} sentences; world {world.name!r} "
            "gave none. Ask for n_generated=0."
        )
    return [parts[i % len(parts)] for i in range(n)]


def continuations(
    model: LanguageModel, parts: Sequence[tuple[str, str]], seed: int
) -> list[tuple[str, str]]:
    """Each opening with the model's own rest at temperature 1, as long as the longest true one."""
    longest = max((len(model.tokenizer.encode(rest, bos=False)) for _, rest in parts), default=0)
    texts = []
    for start in range(0, len(parts), BATCH):
        prompts = [opening for opening, _ in parts[start : start + BATCH]]
        seeds = [seed * 1_000_003 + start + row for row in range(len(prompts))]
        written = model.generate(
            prompts, max_new_tokens=longest, temperature=1.0, seed=seeds, top=0
        )
        texts += list(zip(prompts, written.texts, strict=True))
    return texts


def rates(world: World, written: Sequence[tuple[str, str]]) -> tuple[Interval, Interval]:
    """Share of whole new sentences that are of the grammar, and of these that are consistent."""
    counts = torch.tensor(
        [_counts(world.parse(first + rest), len(first)) for first, rest in written]
    )
    sentences, well_formed, consistent = counts.unbind(1)
    return pooled_rate(well_formed, sentences), pooled_rate(consistent, well_formed)


def tellable(world: World, written: Sequence[tuple[str, str]], level: str) -> Interval:
    """Share of whole texts that the world itself could tell; one that is cut off is none of them.

    Sentence by sentence `rates` asks whether a text is true; this asks whether it keeps all rules:
    who may be introduced when, what may be asked, when it ends.
    """
    return clopper_pearson(sum(_is_told(world, *text, level) for text in written), len(written))


def writing(
    model: LanguageModel, world: World, stories: Sequence[Story], n: int, level: str, seed: int
) -> dict[str, dict[str, Interval]]:
    """How much of what is written is of the grammar and true: the model's and the controls'."""
    parts = openings(world, stories, n)
    if not parts:
        return {"well_formed": {}, "consistent": {}, "tellable": {}}
    with progress_range(0.6, 0.8, "writing: "):
        written = {MODEL: continuations(model, parts, seed), OWN_TEXT: parts}
    for twin in untrained_twins(model, 1, seed):
        with progress_range(0.8, 1.0, "writing, untrained model: "):
            written[UNTRAINED] = continuations(twin, parts, seed)
    shares = {who: rates(world, texts) for who, texts in written.items()}
    return {
        "well_formed": {who: well_formed for who, (well_formed, _) in shares.items()},
        "consistent": {who: consistent for who, (_, consistent) in shares.items()},
        "tellable": {who: tellable(world, texts, level) for who, texts in written.items()},
    }


def _is_told(world: World, opening: str, rest: str, level: str) -> bool:
    try:
        world.surprisal(opening + rest, level=level)
    except WorldError:
        return False
    return True


def _counts(parse: Parse, opening: int) -> tuple[int, int, int]:
    """New sentences, those of the grammar, and those of these that are true of the story."""
    new = [sentence for sentence in parse.sentences if sentence.span[1] > opening]
    well_formed = [sentence for sentence in new if sentence.well_formed]
    return len(new), len(well_formed), sum(bool(sentence.consistent) for sentence in well_formed)
