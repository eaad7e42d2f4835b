"""Does a model that predicts better also hold a more faithful map of its world?

A linear probe reads each variable that holds on at the name and just before the answer; the layer
is chosen anew for each checkpoint, on other stories. Test tokens whose whole text before stands in
a training story are left out.

Control: the same probes with shuffled labels and on an untrained model, and the commonest value. In
one run everything that is learned grows with time, so two curves that rise together do not show
that one makes the other: the rank correlation with the step stands beside the one with the loss.
Checkpoints of one run are no independent units, so one run gives correlations without an interval
and no verdict (`supported` is empty); the unit is the run, and three are needed. With other models
(seeds, sizes) it is also taken at equal steps, where training time has no say, and among models at
their ends; under three models nothing is said of models.

Units: accuracy in [0, 1]; loss and regret in nats per token; Spearman's correlation, where -1 says
the lower the loss, the better it is read. Intervals of shares draw stories anew; of correlations
over training they are Student's over runs (Fisher's z), of correlations between models they draw
stories and models. They are not corrected for the number of readings.

    interp run fidelity --model stories-demo --world stories --html fidelity.html
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Int
from torch import Tensor

from interp.analyses.behavior._state_readability import (
    StorySums,
    Task,
    by_story,
    find_tasks,
    story_sums,
)
from interp.core.cost import announce
from interp.core.errors import NotEnoughDataError
from interp.core.progress import progress_range
from interp.core.protocols import LanguageModel
from interp.core.statistics.intervals import (
    UNKNOWN,
    Interval,
    bootstrap_ratio,
    plain,
    pooled_rate,
)
from interp.core.statistics.rank_agreement import (
    FEWEST_FOR_ENDS,
    FEWEST_POINTS,
    FEWEST_RUNS,
    N_BOOT,
    agreement_over_runs,
    bootstrap_weights,
    rank_agreement,
)
from interp.methods.activations import reading_examples, residual_sites
from interp.methods.batches import reading
from interp.methods.data.examples import sample_stories
from interp.methods.probes.classifier import L2, fit_operations
from interp.methods.probes.state_tracking import WHERE, check_holds_on, state_variables
from interp.methods.prompts import refuse_other_split, text_ids
from interp.methods.untrained import untrained_twins
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.runs.checkpoints import checkpoints, numbered_names
from interp.worlds.world import Story, World

TESTED_FROM = 500_000
COMPARED = {
    "loss": "with the loss, over training",
    "clock": "with the step alone",
    "same_step": "with the loss, at equal steps",
    "at_end": "with the loss, models at their ends",
}


@dataclass(frozen=True, kw_only=True)
class Fidelity(Result):
    """How well each variable is read, against how well the text is predicted, checkpoint by model.

    A task is a variable at a kind of token, as `place (named)`; dicts are by task.

    Attributes:
        runs: names of the models, each a run if it was opened from one.
        run: number of each point's model in `runs`.
        steps: each point's training step; -1 where it is not known.
        loss: each point's loss on the held-out stories, nats per token.
        regret: each point's loss less the exact floor; nan without one.
        accuracy: by task, each point's share of held-out tokens at which the true value is read.
        shuffled: by task, each point's accuracy with labels shuffled in training.
        sites: by task, the layer that the validation stories chose at each point.
        untrained: by task, accuracy of an untrained model of the first one's settings; nan without
            one.
        majority: by task, accuracy of always saying the commonest value.
        correlations: by what is compared (`COMPARED`), then by task: rank correlation of accuracy,
            in [-1, 1]; with the loss, -1 = the lower the loss, the better it is read. `n` counts
            runs, or models; without ends where they are too few.
        untrained_loss: loss of the untrained model, nats per token; nan without one.
        n_train: stories that the probes were trained on and their layer chosen with.
        n_test: held-out stories.
    """

    runs: tuple[str, ...]
    run: Int[Tensor, " point"]
    steps: Int[Tensor, " point"]
    loss: tuple[Interval, ...]
    regret: tuple[Interval, ...]
    accuracy: dict[str, tuple[Interval, ...]]
    shuffled: dict[str, tuple[Interval, ...]]
    sites: dict[str, tuple[str, ...]]
    untrained: dict[str, Interval]
    majority: dict[str, Interval]
    correlations: dict[str, dict[str, Interval]]
    untrained_loss: float
    n_train: int
    n_test: int
    columns: ClassVar = {
        "accuracy": "accuracy",
        "accuracy_shuffled": "shuffled",
        "accuracy_untrained": "untrained",
        "accuracy_majority": "majority",
        "loss_nats_per_token": "loss",
        "regret_nats_per_token": "regret",
        "correlation": "correlations",
    }
    axes: ClassVar = {
        "accuracy": "task point",
        "shuffled": "task point",
        "untrained": "task",
        "majority": "task",
        "loss": "point",
        "regret": "point",
        "correlations": "comparison task",
    }
    labels: ClassVar = {
        "model": ("point", "models"),
        "step": ("point", "steps"),
        "site": ("task point", "sites"),
    }

    @property
    def models(self) -> tuple[str, ...]:
        """The name of the model of each point."""
        return tuple(self.runs[number] for number in self.run.tolist())

    @property
    def tasks(self) -> tuple[str, ...]:
        """What was read where."""
        return tuple(self.accuracy)

    @property
    def supported(self) -> tuple[str, ...]:
        """Tasks read better the lower the loss, and better than every control at the lowest.

        The correlation lies below 0 with its whole interval over runs, and accuracy at the lowest
        loss above that at the highest: where all is read from the start, ranks are of rounding
        only. Empty with fewer than three runs.
        """
        correlation = self.correlations["loss"]
        return tuple(
            task
            for task in self.tasks
            if correlation[task].high < 0 and self._grew(task) and not self.unbeaten(task)
        )

    def _grew(self, task: str) -> bool:
        mine = self.accuracy[task]
        return mine[self.best].above(mine[self._worst])

    def unbeaten(self, task: str) -> tuple[str, ...]:
        """Controls that the best-predicting point does not lie above."""
        at = self.best
        others = {
            "untrained model": self.untrained[task],
            "shuffled labels": self.shuffled[task][at],
            "commonest value": self.majority[task],
        }
        mine = self.accuracy[task][at]
        return tuple(n for n, i in others.items() if i.n and not mine.above(i))

    @property
    def best(self) -> int:
        """The point with the lowest loss."""
        return min(range(len(self.loss)), key=lambda i: self.loss[i].value)

    def finding(self) -> str:
        losses = [loss.value for loss in self.loss]
        correlation = self.correlations["loss"]
        among = [task for task in self.tasks if self._grew(task)] or self.tasks
        clearest = min(among, key=lambda t: (correlation[t].high, correlation[t].value))
        accuracy, clock = self.accuracy[clearest], self.correlations["clock"][clearest]
        return (
            f"{self._verdict()} {clearest}: {accuracy[self._worst].value:.2f} "
            f"at {max(losses):.2f} nats/token, {accuracy[self.best].value:.2f} at "
            f"{min(losses):.2f} (untrained {self.untrained[clearest].value:.2f}); rank correlation "
            f"{_number(correlation[clearest])} with the loss, {_number(clock)} with the step "
            f"alone; n = {len(losses)} checkpoints of {len(self.runs)} "
            f"run{'s' * (len(self.runs) > 1)}"
        )

    def _verdict(self) -> str:
        """In how many readings it holds, or why that is not said."""
        if all(math.isnan(each.low) for each in self.correlations["loss"].values()):
            return (
                f"Whether the world is read better the lower the loss needs {FEWEST_RUNS} runs or "
                f"more of {FEWEST_POINTS} checkpoints each, or {FEWEST_FOR_ENDS} models: "
                "checkpoints of one run are not independent. Of the readings that grew, the lowest "
                "correlation has"
            )
        return (
            f"In {len(self.supported)} of {len(self.tasks)} readings the world is read better the "
            f"lower the loss (not corrected for {len(self.tasks)} readings). The clearest is"
        )

    @property
    def _worst(self) -> int:
        return max(range(len(self.loss)), key=lambda i: self.loss[i].value)

    def caption(self) -> str:
        return (
            f"{self.finding()}. Linear probes, fitted on every model anew with {self.n_train} "
            f"stories, read a variable {WHERE['named']} and {WHERE['asked']}, at the layer that "
            f"other stories chose; "
            f"{self.n_test} held-out stories, the same for all, give accuracy and loss. Intervals: "
            "95 %; of accuracy and loss, bootstrap over stories; of correlations over training, "
            "Student's over runs. "
            f"{self._doubts()}{self._beyond()}"
        )

    def _doubts(self) -> str:
        failed = {task: names for task in self.tasks if (names := self.unbeaten(task))}
        if not failed:
            return ""
        table = "; ".join(f"{task}: {', '.join(names)}" for task, names in failed.items())
        return f"WARNING: not above its controls at the lowest loss: {table}. "

    def _beyond(self) -> str:
        """In plain words what a correlation over training can show, and what was done about it."""
        warned = (
            "In one run everything that is learned grows with time, so a correlation over its "
            "checkpoints shows that the two go together, not that one makes the other. "
        )
        same, ends = (self.correlations[name] for name in ("same_step", "at_end"))
        if not any(each.n for each in same.values()):
            return warned + "Beyond training time it says nothing: give other runs as `models`."
        parts = [
            f"{task} {plain(same[task])} at equal steps, {plain(ends[task])} at the end"
            for task in self.tasks
        ]
        return (
            f"{warned}Beyond training time, models compared with one another (n = "
            f"{len(self.runs)}, whole models; under {FEWEST_FOR_ENDS} there is no interval): "
            f"{'; '.join(parts)}."
        )


def fidelity(
    model: LanguageModel,
    world: World,
    variables: Sequence[str] = (),
    *,
    models: Sequence[LanguageModel] = (),
    steps: Sequence[int] = (),
    most: int = 12,
    n_stories: int = 400,
    n_test: int = 200,
    max_examples: int = 800,
    level: str = "full",
    l2: float = L2,
    seed: int = 0,
) -> Fidelity:
    """Read the world's state from every checkpoint, and set it against the held-out loss.

    Args:
        model: opened from a run, all of whose checkpoints are looked at; or with `models`, any.
        world: the world whose stories and truth are used.
        variables: variables that hold on (`place`, `mood`, `holder`, `object_place`); none = all.
        models: others to compare with: seeds, sizes. Of a run, all checkpoints count too.
        steps: training steps of each run's checkpoints; none = all.
        most: at most so many checkpoints a run, spread evenly over the logarithm of the step.
        n_stories: stories of the `train` split to fit the probes on; a quarter chooses the layer.
        n_test: held-out stories that accuracy and loss are counted on.
        max_examples: training tokens of a variable and kind of token.
        level: the world's level of difficulty.
        l2: penalty of the probes, on standardised activations.
        seed: the seed of stories, shuffles, resamples and the untrained model.
    Returns:
        Fidelity: accuracies in [0, 1], losses in nats per token, rank correlations.
    Raises:
        NotEnoughDataError: fewer than three checkpoints in all, or too few stories.
        ConfigError: an unknown variable, one that does not hold on, or an unknown step.
        ModelMismatchError: models that split the stories into other tokens.
    Example:
        >>> fidelity(model, world, ["place"]).supported  # doctest: +SKIP
        ('place (named)', 'place (asked)')
    Source:
        Li et al. 2021, "Implicit Representations of Meaning in Neural Language Models" (state read
        from activations). Ours asks how that changes with the loss.
    """
    call = dict(locals())
    training, testing = _stories(world, call)
    texts = [story.text for story in testing]
    wanted = _wanted(world, variables, testing)
    tasks = find_tasks(model, world, wanted, training, testing, max_examples)
    places = checkpoints([model, *models], steps, most)
    own_ids = text_ids(model, texts)
    # Predicted tokens of each story.
    counts = [min(len(ids), model.cfg.n_ctx) - 1 for ids in own_ids]
    _announce(model, tasks, own_ids, len(places))
    sums, sizes, tasks_of = [], torch.tensor(counts, dtype=torch.float64), {own_ids: tasks}
    for number, (_, step, make) in enumerate(places):
        share, name = 0.9 / len(places), "a model" if step < 0 else f"step {step:,}"
        with progress_range(number * share, (number + 1) * share, f"{name}: "):
            checkpoint = make()
            ids = text_ids(checkpoint, texts)
            if ids not in tasks_of:  # the same words under other numbers
                refuse_other_split(checkpoint, model, texts)
                tasks_of[ids] = find_tasks(
                    checkpoint, world, wanted, training, testing, max_examples
                )
            sums.append(story_sums(checkpoint, tasks_of[ids], testing, l2, seed))
    with progress_range(0.9, 1.0, "untrained model: "):
        twins = [story_sums(t, tasks, testing, l2, seed) for t in untrained_twins(model, 1, seed)]
    run = [number for number, _, _ in places]
    return Fidelity(
        runs=numbered_names([model, *models]),
        run=torch.tensor(run),
        steps=torch.tensor([step for _, step, _ in places]),
        **_counted(tasks, sums, twins, sizes, seed),
        correlations=_correlations(tasks, sums, sizes, run, [s for _, s, _ in places], seed),
        n_train=len(training),
        n_test=len(testing),
        provenance=provenance(fidelity, call, hooks=("resid_post",)),
    )


def _announce(
    model: LanguageModel, tasks: Sequence[Task], rows: Sequence[Sequence[int]], n_checkpoints: int
) -> None:
    models, sites, d_model = n_checkpoints + 1, residual_sites(model), model.cfg.d_model
    cells = [cell for task in tasks for cell in task.cells]
    # Truth and shuffled labels are fitted together.
    fits = sum(fit_operations(len(t.train), d_model, 2, len(t.classes)) for t in tasks)
    announce(
        model,
        reading_examples(model, cells, sites, times=models),
        reading(model, [row[: model.cfg.n_ctx] for row in rows], times=models),
        draws=1,
        operations=models * len(sites) * fits,
        copies=2,
        kept=len(sites) * len(cells) * d_model,
        smaller="Take fewer checkpoints, variables or stories (most=, variables=, n_stories=, "
        "n_test=, max_examples=).",
    )


def _stories(world: World, call: dict[str, Any]) -> tuple[list[Story], list[Story]]:
    options = {"seed": call["seed"], "level": call["level"]}
    training = sample_stories(world, call["n_stories"], split="train", **options)
    testing = sample_stories(world, call["n_test"], split="held_out", first=TESTED_FROM, **options)
    if len(testing) < 2:
        raise NotEnoughDataError(
            f"Fidelity needs two held-out stories or more; got {len(testing)}. Raise n_test."
        )
    return training, testing


def _wanted(world: World, variables: Sequence[str], stories: Sequence[Story]) -> list[str]:
    known = state_variables(fact for story in stories for fact in story.facts)
    for variable in variables:
        check_holds_on(variable, known)
    return [v for v in world.variables if v in known and (not variables or v in variables)]


def _counted(
    tasks: Sequence[Task],
    sums: Sequence[StorySums],
    twins: Sequence[StorySums],
    sizes: Tensor,
    seed: int,
) -> dict[str, Any]:
    """Everything but the correlations."""
    tries = {task.name: by_story(task, torch.ones(len(task.test)), len(sizes)) for task in tasks}
    shares = {
        field: {
            name: tuple(pooled_rate(getattr(each, field)[name], of, seed=seed) for each in sums)
            for name, of in tries.items()
        }
        for field in ("right", "shuffled")
    }
    usual = {t.name: by_story(t, t.labels(t.test) == t.commonest, len(sizes)) for t in tasks}
    return {
        "loss": tuple(bootstrap_ratio(each.nats, sizes, seed=seed) for each in sums),
        "regret": tuple(bootstrap_ratio(each.regret, sizes, seed=seed) for each in sums),
        "accuracy": shares["right"],
        "shuffled": shares["shuffled"],
        "sites": {t.name: tuple(each.sites[t.name] for each in sums) for t in tasks},
        "untrained": {
            name: pooled_rate(twins[0].right[name], of, seed=seed) if twins else UNKNOWN
            for name, of in tries.items()
        },
        "majority": {name: pooled_rate(usual[name], of, seed=seed) for name, of in tries.items()},
        "untrained_loss": float(twins[0].nats.sum() / sizes.sum()) if twins else math.nan,
    }


def _correlations(
    tasks: Sequence[Task],
    sums: Sequence[StorySums],
    sizes: Tensor,
    run: Sequence[int],
    steps: Sequence[int],
    seed: int,
) -> dict[str, dict[str, Interval]]:
    """Over training, of the step alone, between models at equal steps, and at their ends."""
    weights = bootstrap_weights(len(sizes), N_BOOT, seed)
    # One set of story weights for all points: loss and accuracy are of the same stories in each
    # resample, so what a story is harder by moves both and all checkpoints together.
    loss = (weights @ torch.stack([each.nats for each in sums], 1)) / (weights @ sizes)[:, None]
    clock = torch.tensor(steps, dtype=torch.float64).expand_as(loss)
    ends = [max(i for i, each in enumerate(run) if each == r) for r in dict.fromkeys(run)]
    # Models with one checkpoint each are compared with one another: there is no training to follow.
    alone = len(ends) == len(run)
    correlations: dict[str, dict[str, Interval]] = {name: {} for name in COMPARED}
    for task in tasks:
        hits = weights @ torch.stack([each.right[task.name] for each in sums], 1)
        read = hits / (weights @ by_story(task, torch.ones(len(task.test)), len(sizes)))[:, None]

        of_task = {
            name: rank_agreement(quantity, read, [0] * len(run), run, seed=seed + 1)
            if alone
            else agreement_over_runs(quantity[0], read[0], run)
            for name, quantity in (("loss", loss), ("clock", clock))
        }
        of_task["same_step"] = rank_agreement(loss, read, steps, run, seed=seed + 1)
        of_task["at_end"] = rank_agreement(
            loss[:, ends], read[:, ends], [0] * len(ends), ends, seed=seed + 1
        )
        for name, interval in of_task.items():
            correlations[name][task.name] = interval
    return correlations


def _number(interval: Interval) -> str:
    if math.isnan(interval.value):
        return "unknown (all alike)"
    few = f" (n = {interval.n}: no interval)" if math.isnan(interval.low) else ""
    return plain(interval, signed=True) + few
