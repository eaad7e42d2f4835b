"""What generated texts say, as sums: mentions of a concept, whole sentences, repetition."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.analyses.interventions._steered_generation import GeneratedRows
from interp.core.statistics.intervals import Interval, bootstrap, bootstrap_ratio, clopper_pearson
from interp.worlds.world import World

TextReader = Callable[[str, str], dict[str, tuple[int, int]]]
"""Takes a prompt and the text that followed it; gives hits and tries of each measure it reads."""


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """One measure of many texts as sums: hits of tries, nats of tokens.

    Attributes:
        part: what was counted in each text.
        whole: what that is a share of; 0 where a text has nothing to count.
    """

    part: Float[Tensor, "*arm text"]
    whole: Float[Tensor, "*arm text"]

    @property
    def value(self) -> Float[Tensor, "*arm"]:
        """Sum over texts of one over the other; nan where there is nothing."""
        return self.part.sum(-1) / self.whole.sum(-1)

    def interval(self, *arm: int, seed: int, trials: bool) -> Interval:
        """One arm's value with its interval over texts.

        Args:
            arm: its place on each of the axes before `text`.
            seed: of the resampling.
            trials: the parts are hits among tries, so that a value of 0 or 1 has an exact interval.
        Returns:
            Interval: its n counts the texts with something to count.
        """
        part, whole = self.part[arm], self.whole[arm]
        interval = bootstrap_ratio(part, whole, seed=seed)
        if trials and interval.value in (0.0, 1.0):
            # Every text agreed; the bootstrap would call that certain.
            return clopper_pearson(round(interval.value * interval.n), interval.n)
        return interval

    def difference(self, arm: tuple[int, ...], other: tuple[int, ...], seed: int) -> Interval:
        """One arm's value less another's, over the same texts' numbers (prompts or seeds)."""

        return self._compared(torch.sub, arm, other, seed)

    def quotient(self, arm: tuple[int, ...], other: tuple[int, ...], seed: int) -> Interval:
        """One arm's value over another's, over the same texts' numbers.

        Where the other arm, or too many of its resamples, have nothing, value and ends are not
        finite: then there is no ratio to tell.
        """
        return self._compared(torch.div, arm, other, seed)

    def _compared(
        self,
        compare: Callable[[Tensor, Tensor], Tensor],
        arm: tuple[int, ...],
        other: tuple[int, ...],
        seed: int,
    ) -> Interval:
        def statistic(weights: Float[Tensor, "boot text"]) -> Float[Tensor, " boot"]:
            # One resample for both arms: what texts of one number share falls out.
            mine, theirs = (
                weights @ self.part[at] / (weights @ self.whole[at]) for at in (arm, other)
            )
            return compare(mine, theirs)

        return bootstrap(statistic, self.part.shape[-1], seed=seed)


def text_ratios(
    rows: GeneratedRows, read: TextReader, prompts: Sequence[str], shape: tuple[int, ...]
) -> dict[str, Ratio]:
    """Read every text; add repetition, and the loss and divergence that were measured beside it.

    Args:
        rows: what was generated, the last axis of `shape` running fastest.
        read: counts what a text says.
        prompts: that the rows of the last axis continue; one for all, or one each.
        shape: arms (doses, directions, …), then texts.
    """
    counts = []
    for number, (text, tokens) in enumerate(zip(rows.texts, rows.tokens, strict=True)):
        said = read(prompts[number % len(prompts)], text)
        counts.append(said | {"repetition": repetition(tokens)})
    ratios = {
        name: _ratio(*zip(*(count[name] for count in counts), strict=True), shape)
        for name in counts[0]
    }
    for name, nats in (("loss", rows.loss_nats), ("kl", rows.kl_nats)):
        ratios[f"{name}_nats_per_token"] = _ratio(nats, rows.lengths, shape)
    return ratios


def _ratio(
    part: Sequence[int] | Tensor, whole: Sequence[int] | Tensor, shape: tuple[int, ...]
) -> Ratio:
    part, whole = (torch.as_tensor(counts).double().view(shape) for counts in (part, whole))
    return Ratio(part=part, whole=whole)


def world_counts(
    world: World, prompt: str, text: str, rates: Mapping[str, tuple[str, Sequence[str]]]
) -> dict[str, tuple[int, int]]:
    """Read prompt and text as one story; count the sentences that end in the text.

    Args:
        world: whose grammar it is.
        prompt: the story so far.
        text: what followed.
        rates: by measure, a concept and the group among whose mentions it is counted.
    Returns:
        Hits and tries: of each rate; `well_formed` of all sentences; `consistent` of these.
    """
    new = [s for s in world.parse(prompt + text).sentences if s.span[1] > len(prompt)]
    said = [concept for sentence in new for concept in sentence.concepts]
    well_formed = [sentence for sentence in new if sentence.well_formed]
    consistent = sum(bool(sentence.consistent) for sentence in well_formed)
    counts = {}
    for name, (word, among) in rates.items():
        mentions = [concept for concept in said if concept in among]
        counts[name] = (mentions.count(word), len(mentions))
    counts["well_formed"] = (len(well_formed), len(new))
    return counts | {"consistent": (consistent, len(well_formed))}


def word_counts(text: str, words: Sequence[str]) -> tuple[int, int]:
    """How many of the text's words are among `words`, and how many there are: no world needed."""
    said = [word.strip(".,;:!?\"'()").lower() for word in text.split()]
    wanted = {word.lower() for word in words}
    return sum(word in wanted for word in said), len(said)


def repetition(tokens: Sequence[int]) -> tuple[int, int]:
    """How many trigrams of a row stood in it before, and how many there are."""
    grams = [tuple(tokens[i : i + 3]) for i in range(len(tokens) - 2)]
    return len(grams) - len(set(grams)), len(grams)
