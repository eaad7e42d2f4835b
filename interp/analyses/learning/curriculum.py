"""Did the order of the levels matter? Runs of several orders and seeds, at equal tokens.

`forgetting` is the last loss on a level less the loss when it was last drawn. Runs whose steps take
different numbers of tokens are refused.

Control: the baseline group. `shuffled` draws the same levels equally often, mixed from the first
step on; `anti` takes the curriculum's stages backwards (see docs/training.md). `verdict(group)` is
`better`, `worse`, `no effect shown` (the interval of the difference holds zero) or `too few seeds`.
A run that never reaches the threshold counts as one that takes longer than all others: tokens to
it are compared by an exact rank test, which needs four runs a group (or three against five), and by
no mean of survivors.

Units: nats per token; shares of right answers in [0, 1]; tokens. Intervals are Student's over the
runs of a group, and Welch's for differences: the seeds are few, so a bootstrap would be too sure.
They are not corrected for the number of groups.

    interp run curriculum --model runs/shuffled-0 --runs runs/forth-0 --world homes
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.cost import announce
from interp.core.display import percent
from interp.core.errors import ConfigError, near_misses
from interp.core.progress import progress_range, report_progress
from interp.core.protocols import LanguageModel
from interp.core.statistics.intervals import Interval, clopper_pearson, plain
from interp.core.statistics.over_seeds import difference_over_seeds, mean_over_seeds
from interp.core.statistics.significance import rank_sum_p, smallest_rank_sum_p
from interp.methods.batches import reading
from interp.methods.data.answers import encoded_stories, predict_stories, right_answers
from interp.methods.data.examples import sample_stories
from interp.methods.data.loss_floor import has_floor, story_floor
from interp.methods.data.questions import NEVER_SAID, QuestionInContext, questions_in, table_rows
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.runs.curriculum import CurriculumRecord, common_steps, curriculum_record, group_of
from interp.worlds.world import Story, World

HELD_OUT = "held_out"
LOSS, ANSWERS, TOKENS = "loss_nats_per_token", "answers", "tokens_to_threshold"
SIGNIFICANT = 0.05


@dataclass(frozen=True, kw_only=True)
class LevelEvaluation:
    """Held-out stories of every level, the same for every model.

    Attributes:
        stories: the stories of each level, easiest first.
        questions: the questions of the last level.
        kinds: each kind of question of the last level with the numbers of its questions.
    """

    stories: Mapping[str, Sequence[Story]]
    questions: Sequence[QuestionInContext]
    kinds: Mapping[str, Sequence[int]]

    def measure(
        self, model: LanguageModel
    ) -> tuple[Float[Tensor, " level"], Float[Tensor, " kind"]]:
        """Mean nats a token on each level, and the share of right answers to each kind.

        The mean is over tokens, not stories: a long story counts for more, as in training.
        """
        losses, predictions = [], []
        for stories in self.stories.values():
            predictions = predict_stories(model, stories)
            losses.append(torch.cat([each.nats for each in predictions]).mean())
        if not self.kinds:
            return torch.stack(losses), torch.zeros(0)
        marks = right_answers(predictions, self.questions)
        known = torch.tensor([float("nan") if mark is None else float(mark) for mark in marks])
        right = [known[list(own)].nanmean() for own in self.kinds.values()]
        return torch.stack(losses), torch.stack(right)

    def floors(self, model: LanguageModel) -> Float[Tensor, " level"]:
        """The least that any model could pay on each level; nan where the world has no prices."""
        floors = torch.full((len(self.stories),), math.nan)
        for number, stories in enumerate(self.stories.values()):
            if has_floor(stories):
                pairs = zip(stories, encoded_stories(model, stories), strict=True)
                nats = [story_floor(story, spans)[0] for story, (_, spans) in pairs]
                floors[number] = torch.cat(nats).mean()
        return floors


@dataclass(frozen=True, kw_only=True)
class Curriculum(Result):
    """Runs side by side: what each level cost when, and what was answered.

    The hardest level is the last one. Intervals are Student's over the runs of a group.

    Attributes:
        runs: names of the runs.
        groups: the group of each run; runs of one group differ in the seed alone.
        baseline: the group that the others are compared with.
        steps: the checkpoints' training steps, the same in every run.
        tokens: how many tokens every run had been trained on at each step.
        levels: the world's levels, easiest first.
        kinds: kinds of questions of the hardest level; empty where the world asks none.
        questions: how many questions of each kind.
        loss: loss on held-out stories, nats per token.
        floor: the least that any model could pay on each level; nan where it is not known.
        accuracy: share of whole answers that are right.
        shares: each level's share of the rows of the update that ended in the checkpoint; at step 0
            that of the first update; nan where the record does not say.
        threshold: share of the way from the first loss to the floor, or of right answers.
        n_stories: how many stories of each level.
    """

    runs: tuple[str, ...]
    groups: tuple[str, ...]
    baseline: str
    steps: tuple[int, ...]
    tokens: tuple[int, ...]
    levels: tuple[str, ...]
    kinds: tuple[str, ...]
    questions: tuple[int, ...]
    loss: Float[Tensor, "run step level"]
    floor: Float[Tensor, " level"]
    accuracy: Float[Tensor, "run step kind"]
    shares: Float[Tensor, "run step level"]
    threshold: float
    n_stories: int
    columns: ClassVar = {
        LOSS: "loss",
        "floor_nats_per_token": "floor",
        "accuracy": "accuracy",
        "share": "shares",
        TOKENS: "tokens_to_threshold",
        "forgetting_nats_per_token": "forgetting",
    }
    labels: ClassVar = {
        "run": ("run", "runs"),
        "group": ("run", "groups"),
        "step": ("step", "steps"),
        "tokens": ("step", "tokens"),
        "level": ("level", "levels"),
        "kind": ("kind", "kinds"),
    }

    @property
    def names(self) -> tuple[str, ...]:
        """The groups, each once, the baseline first."""
        return tuple(dict.fromkeys([self.baseline, *self.groups]))

    def members(self, group: str) -> Int[Tensor, " run"]:
        """The numbers of a group's runs."""
        return torch.tensor([i for i, name in enumerate(self.groups) if name == group])

    @cached_property
    def score(self) -> Float[Tensor, "run step"]:
        """What the threshold is set on: mean over kinds of the right answers to the hardest level.

        Where nothing is asked: the share of the way from the run's first loss to the floor.
        """
        if self.kinds:
            return self.accuracy.nanmean(-1)
        # Without a known floor the way goes down to a loss of 0, which no run reaches.
        first, floor = self.loss[:, :1, -1], self.floor[-1].nan_to_num(0.0)
        return (first - self.loss[:, :, -1]) / (first - floor)

    @cached_property
    def tokens_to_threshold(self) -> Float[Tensor, " run"]:
        """Tokens at the first checkpoint whose score reaches the threshold; nan = never."""
        reached = self.score >= self.threshold
        # argmax of 0s and 1s is the first 1, or 0 where there is none: `any` tells these apart.
        first = torch.tensor(self.tokens)[reached.int().argmax(1)].double()
        return torch.where(reached.any(1), first, torch.nan)

    @cached_property
    def forgetting(self) -> Float[Tensor, "run level"]:
        """Last loss on a level less the loss when it was last in the mixture; positive = forgotten.

        The latter at the last of these checkpoints at which the level was still drawn; nan for
        levels that never came or never left.
        """
        rises = torch.full((len(self.runs), len(self.levels)), math.nan)
        for run in range(len(self.runs)):
            for level in range(len(self.levels)):
                in_mixture = torch.nonzero(self.shares[run, :, level] > 0).flatten()
                if len(in_mixture) and in_mixture[-1] < len(self.steps) - 1:
                    losses = self.loss[run, :, level]
                    rises[run, level] = losses[-1] - losses[in_mixture[-1]]
        return rises

    def last(self, group: str, quantity: str = LOSS) -> Interval:
        """A group's mean at the end, over its runs; nan tokens where a run never got there.

        Args:
            group: by name.
            quantity: `loss_nats_per_token` of the hardest level, `answers`, `tokens_to_threshold`.
        """
        values = self._final(quantity)[self.members(group)]
        if quantity == TOKENS and values.isnan().any():
            # The mean of those that arrived says nothing of the group: a run that fails would
            # leave it as good as before, or better.
            return Interval.without_ends(math.nan, len(values))
        return mean_over_seeds(values)

    def reached(self, group: str) -> Interval:
        """Share of a group's runs that reached the threshold, with its exact interval."""
        tokens = self.tokens_to_threshold[self.members(group)]
        return clopper_pearson(int((~tokens.isnan()).sum()), len(tokens))

    def difference(self, group: str, quantity: str = LOSS) -> Interval:
        """A group less the baseline at the end, with Welch's interval over runs.

        Of tokens it is nan where a run of either group never got there: see `tokens_p`.
        """
        first, second = (self._final(quantity)[self.members(g)] for g in (group, self.baseline))
        if quantity == TOKENS and torch.cat([first, second]).isnan().any():
            return Interval.without_ends(math.nan, len(first) + len(second))
        return difference_over_seeds(first, second)

    def tokens_p(self, group: str) -> float:
        """P of 'this group takes as many tokens to the threshold as the baseline', by ranks.

        Runs that never get there take longer than all others; among them nothing is known.
        """
        return rank_sum_p(*self._waits(group))

    def _waits(self, group: str) -> list[Float[Tensor, " run"]]:
        """Tokens to the threshold of a group's runs and of the baseline's; infinite = never."""
        waits = self.tokens_to_threshold.nan_to_num(math.inf)
        return [waits[self.members(name)] for name in (group, self.baseline)]

    def verdict(self, group: str, quantity: str = LOSS) -> str:
        """`better`, `worse`, `no effect shown`, or `too few seeds` for any of these.

        An effect counts as shown where the 95 % interval of the difference leaves 0 out: Welch's
        test at the 5 % level. Of tokens to the threshold, where the exact rank test does so; with
        three runs each not even a perfect separation does (p = 0.1).
        """
        if quantity == TOKENS:
            return self._tokens_verdict(group)
        difference = self.difference(group, quantity)
        if math.isnan(difference.low):
            return "too few seeds"
        if 0.0 in difference:
            return "no effect shown"
        # More right answers are better; a larger loss is not.
        return "better" if (difference.value > 0) == (quantity == ANSWERS) else "worse"

    def _tokens_verdict(self, group: str) -> str:
        first, second = self._waits(group)
        if self.tokens_p(group) > SIGNIFICANT:
            least = smallest_rank_sum_p(len(first), len(second))
            return "too few seeds" if least > SIGNIFICANT else "no effect shown"
        # How often a run of this group is the earlier one, less how often it is the later one.
        return (
            "better"
            if (second > first[:, None]).sum() > (second < first[:, None]).sum()
            else "worse"
        )

    def _final(self, quantity: str) -> Float[Tensor, " run"]:
        if quantity == TOKENS:
            return self.tokens_to_threshold
        return self.score[:, -1] if quantity == ANSWERS else self.loss[:, -1, -1]

    def finding(self) -> str:
        groups = "; ".join(self._group(name) for name in self.names)
        compared = "".join(f" {self._compared(name)}" for name in self.names[1:])
        return (
            f"After {self.tokens[-1] / 1e6:.2f} M tokens, on {self.levels[-1]}: {groups}."
            f"{compared or ' One group, so nothing to compare it with.'}"
        )

    def _group(self, name: str) -> str:
        n = len(self.members(name))
        answers = f", answers {plain(self.last(name, ANSWERS))}" if self.kinds else ""
        return (
            f"{name} {plain(self.last(name), 3)} nats/token{answers} (n = {n} seed{'s' * (n > 1)})"
        )

    def _compared(self, name: str) -> str:
        words = {LOSS: "loss", ANSWERS: "answers"} if self.kinds else {LOSS: "loss"}
        verdicts = ", ".join(
            f"{words[q]} {plain(self.difference(name, q), 3, signed=True)}: {self.verdict(name, q)}"
            for q in words
        )
        return f"{name} against {self.baseline}: {verdicts}."

    def caption(self) -> str:
        return (
            f"{self.finding()} Losses on {self.n_stories} held-out stories of each level, the same "
            f"for all runs; answers to {sum(self.questions)} questions of {self.levels[-1]}, right "
            "when every token is the model's first choice. Thin lines are runs, thick ones means "
            "of a group; bands and brackets are Student's 95 % intervals over the runs of a group "
            "(Welch's for differences), not corrected for the number of groups. "
            f"{self._thresholds()} {self._forgotten()} Runs differ in seed and order; every step "
            "took equally many tokens."
        )

    def _thresholds(self) -> str:
        parts = []
        for name in self.names:
            share, middle = self.reached(name), self._median_wait(name)
            median = "not reached" if math.isinf(middle) else f"{middle / 1e6:.2f} M tokens"
            parts.append(
                f"{name} {round(share.value * share.n)} of {share.n} runs, a share of "
                f"{plain(share)} (median {median})"
            )
        what = "of the answers right" if self.kinds else "of the way to the floor"
        compared = "".join(
            f" Tokens of {name} against {self.baseline}: {self.verdict(name, TOKENS)} (exact rank "
            f"test, never = longest: p = {self.tokens_p(name):.2g})."
            for name in self.names[1:]
        )
        return f"Reached {percent(self.threshold)} {what}: {'; '.join(parts)}.{compared}"

    def _median_wait(self, group: str) -> float:
        """Tokens by which half of a group's runs were there (Kaplan & Meier's median)."""
        waits = self._waits(group)[0].sort().values
        return float(waits[math.ceil(len(waits) / 2) - 1])

    def _forgotten(self) -> str:
        parts = []
        for name in self.names:
            rises = self.forgetting[self.members(name)]
            if not rises.isnan().all():
                level = int(rises.nanmean(0).nan_to_num(-math.inf).argmax())
                mean = float(rises[:, level].nanmean())
                parts.append(f"{name} {mean:+.2f} nats/token on {self.levels[level]}")
        if not parts:
            return "No level left the mixture, so none could be forgotten."
        return f"Loss since a level left the mixture, where it rose most: {'; '.join(parts)}."


def curriculum(
    model: LanguageModel,
    runs: Sequence[LanguageModel] = (),
    *,
    world: World,
    labels: Sequence[str] = (),
    baseline: str = "",
    levels: Sequence[str] = (),
    n_stories: int = 60,
    checkpoints: int = 12,
    threshold: float = 0.9,
    seed: int = 0,
) -> Curriculum:
    """What runs lose on each level over time, and whether the order of the levels mattered.

    Args:
        model: opened from a run's folder; its group is the baseline unless another is named.
        runs: other runs, opened from their folders, of any number of groups and seeds.
        world: the world whose levels the runs were trained on.
        labels: the group of each run, that of `model` first; none = its name without the seed's
            number at the end (`anti-seed-2` is of `anti`).
        baseline: the group to compare with.
        levels: the world's levels, easiest first; none = all of them.
        n_stories: held-out stories of each level.
        checkpoints: at most so many, of those that all runs have.
        threshold: share of right answers, or of the way to the floor, that counts as learned.
        seed: the seed of the stories.
    Returns:
        Curriculum: losses in nats per token, shares of right answers in [0, 1].
    Raises:
        ConfigError: runs whose steps take different numbers of tokens, labels that do not fit, or a
            baseline that is no group.
        NotEnoughDataError: fewer than two checkpoints in common, or no record of a run.
    Example:
        >>> result = curriculum(runs[0], runs[1:], world=world)  # doctest: +SKIP
        >>> result.verdict("anti")  # doctest: +SKIP
        'worse'
    Source:
        Bengio et al. 2009, "Curriculum Learning"; Wu et al. 2021, "When Do Curricula Work?" (the
        shuffled and the reversed order as controls, seeds, equal budgets).
    """
    call = dict(locals())
    everyone = [model, *runs]
    records = [curriculum_record(each) for each in everyone]
    groups = _groups(records, labels)
    baseline = _baseline(groups, baseline)
    steps = common_steps(records, max(checkpoints, 2))
    levels = tuple(levels) or tuple(world.levels)
    evaluation = _level_evaluation(world, levels, n_stories, seed)
    stories = [story for level in evaluation.stories.values() for story in level]
    announce(
        model,
        reading(
            model,
            [ids for ids, _ in encoded_stories(model, stories)],
            times=len(records) * len(steps),
        ),
        copies=1,
        smaller="Take fewer runs, checkpoints, levels or stories (checkpoints=, levels=, "
        "n_stories=).",
    )
    losses, answers = _measured(records, steps, evaluation)
    shares = [
        [[record.share(max(step - 1, 0), level) for level in levels] for step in steps]
        for record in records
    ]
    return Curriculum(
        runs=tuple(record.name for record in records),
        groups=groups,
        baseline=baseline,
        steps=steps,
        tokens=tuple(step * records[0].tokens_a_step for step in steps),
        levels=levels,
        kinds=tuple(evaluation.kinds),
        questions=tuple(len(own) for own in evaluation.kinds.values()),
        loss=losses,
        floor=evaluation.floors(model),
        accuracy=answers,
        shares=torch.tensor(shares),
        threshold=threshold,
        n_stories=n_stories,
        provenance=provenance(curriculum, call),
    )


def _measured(
    records: Sequence[CurriculumRecord], steps: Sequence[int], evaluation: LevelEvaluation
) -> tuple[Float[Tensor, "run step level"], Float[Tensor, "run step kind"]]:
    """Every checkpoint of every run, one in memory at a time."""
    losses, answers = [], []
    for i, record in enumerate(records):
        for j, step in enumerate(steps):
            stage, done = f"{record.name}, step {step:,}", i * len(steps) + j
            of = len(records) * len(steps)
            report_progress(stage, done, of)
            with progress_range(done / of, (done + 1) / of, f"{stage}: "):
                loss, right = evaluation.measure(record.history[step])
            losses.append(loss)
            answers.append(right)
    n = len(records)
    return (
        rearrange(torch.stack(losses), "(run step) level -> run step level", run=n),
        rearrange(torch.stack(answers), "(run step) kind -> run step kind", run=n),
    )


def _groups(records: Sequence[CurriculumRecord], labels: Sequence[str]) -> tuple[str, ...]:
    if not labels:
        return tuple(group_of(record.name) for record in records)
    if len(labels) != len(records):
        raise ConfigError(
            f"Curriculum needs one label a run, the model's first; got {len(labels)} labels for "
            f"{len(records)} runs. Give as many, or none."
        )
    return tuple(labels)


def _baseline(groups: Sequence[str], baseline: str) -> str:
    if baseline and baseline not in groups:
        raise ConfigError(f"No group is called {baseline!r}.{near_misses(baseline, groups)}")
    return baseline or groups[0]


def _level_evaluation(world: World, levels: Sequence[str], n: int, seed: int) -> LevelEvaluation:
    """Stories of each level and the questions of the last one.

    Args:
        world: the world that tells the stories.
        levels: the levels, easiest first.
        n: how many stories of each level.
        seed: the seed of the stories.
    """
    stories = {
        level: sample_stories(world, n, seed=seed, level=level, split=HELD_OUT) for level in levels
    }
    questions = questions_in(stories[levels[-1]])
    rows = table_rows(questions, HELD_OUT, tuple(world.variables))
    kinds = {name: own for name, own in rows.items() if name != NEVER_SAID}
    return LevelEvaluation(stories=stories, questions=questions, kinds=kinds)
