"""A number a story, so that a mean over stories can be resampled at all checkpoints alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.statistics.intervals import clopper_pearson, group_draws
from interp.methods.checkpoints.evaluation_set import EvaluationSet

N_BOOT = 1000
TAILS = (0.025, 0.975)


@dataclass(frozen=True, kw_only=True)
class Scores:
    """One curve at one checkpoint: the value is the sum of `part` over the sum of `whole`.

    Attributes:
        part: a number a story (or sequence); a single one where there is nothing to resample.
        whole: what it is a part of (tokens, questions); 0 where a story has none.
        control: the control's number for each story; empty without one.
    """

    part: tuple[float, ...]
    whole: tuple[float, ...]
    control: tuple[float, ...] = ()


def single(value: float) -> Scores:
    """A number of the weights, which no story moves."""
    return Scores(part=(value,), whole=(1.0,))


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One number over the checkpoints.

    Attributes:
        measure: name of the measure.
        name: tells the curves of a measure apart; empty where it has one.
        part: `Scores.part` at each checkpoint.
        whole: `Scores.whole` at each checkpoint.
        control: `Scores.control` at each checkpoint; without columns where there is none.
    """

    measure: str
    name: str
    part: Float[Tensor, "step group"]
    whole: Float[Tensor, "step group"]
    control: Float[Tensor, "step group"]

    @property
    def label(self) -> str:
        """In words: `accuracy: place`."""
        return f"{self.measure}: {self.name}" if self.name else self.measure

    @property
    def n(self) -> int:
        """Stories that have a say."""
        return int((self.whole[0] > 0).sum()) if self.part.shape[1] > 1 else 0

    @property
    def values(self) -> Float[Tensor, " step"]:
        """The value at each checkpoint."""
        return self.part.sum(1) / self.whole.sum(1)

    @property
    def controls(self) -> Float[Tensor, " step"]:
        """The control's value at each checkpoint; nan without one."""
        if not self.control.shape[1]:
            return torch.full((len(self.part),), float("nan"), dtype=torch.float64)
        return self.control.sum(1) / self.whole.sum(1)

    def resampled(self, seed: int, n_boot: int = N_BOOT) -> Float[Tensor, "boot step"]:
        """The curve of each draw of stories; the same stories at every checkpoint.

        Args:
            seed: of the draws.
            n_boot: how many draws.
        """
        weights = group_draws(self.part.shape[1], n_boot, seed)
        return (weights @ self.part.T) / (weights @ self.whole.T)

    def bounds(self, seed: int, is_share: bool = False) -> Float[Tensor, "step bound"]:
        """Value, lower and upper end at each checkpoint, 95 %; ends are nan where nothing moves.

        Args:
            seed: of the draws of stories.
            is_share: the value is a share of stories, so that 0 and 1 have exact ends.
        """
        values = self.values
        if self.n < 2:
            return torch.stack([values, values * float("nan"), values * float("nan")], 1)
        resampled = self.resampled(seed)
        ends = torch.nanquantile(resampled, torch.tensor(TAILS, dtype=resampled.dtype), 0)
        bounds = torch.stack([values, *ends], 1)
        # Where all stories agree every resample does too, which would claim certainty.
        for share in (0, 1) if is_share else ():
            exact = clopper_pearson(share * self.n, self.n)
            bounds[values == share] = bounds.new_tensor([exact.value, exact.low, exact.high])
        return bounds


def curve_of(measure: str, name: str, scores: Sequence[Scores]) -> Curve:
    """The curve of one name, from the scores of each checkpoint.

    Args:
        measure: name of the measure.
        name: of the curve; empty where the measure has one.
        scores: of each checkpoint, in order.
    """
    part, whole, control = (
        torch.tensor([getattr(score, field) for score in scores], dtype=torch.float64)
        for field in ("part", "whole", "control")
    )
    return Curve(measure=measure, name=name, part=part, whole=whole, control=control)


def per_story(
    data: EvaluationSet, right: Sequence[float], wrong: Sequence[float]
) -> dict[str, Scores]:
    """The scores of each kind of question, added up by story.

    Args:
        data: whose questions they are.
        right: a number for each question.
        wrong: the control's number for each question.
    Returns:
        By kind of question; `whole` counts a story's questions of the kind.
    """
    scores = {}
    for kind, members in data.kinds.items():
        sums = [[0.0] * len(data.stories) for _ in range(3)]
        for i in members:
            story = data.questions[i].story
            for row, value in zip(sums, (right[i], 1.0, wrong[i]), strict=True):
                row[story] += value
        part, whole, control = map(tuple, sums)
        scores[kind] = Scores(part=part, whole=whole, control=control)
    return scores
