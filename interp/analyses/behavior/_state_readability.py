"""How well each variable can be read from a model where it ought to stand, and how it predicts."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.errors import NotEnoughDataError
from interp.core.progress import progress_range, report_progress
from interp.core.protocols import LanguageModel
from interp.methods.activations import residual_sites, rows_at, site_label
from interp.methods.data.answers import predict_stories, regrets
from interp.methods.data.examples import Example
from interp.methods.data.loss_floor import has_floor
from interp.methods.probes.classifier import fit_linear
from interp.methods.probes.state_decoders import FEWEST_ROWS, STEPS
from interp.methods.probes.state_tracking import track
from interp.worlds.world import Story, World

READ_AT = ("named", "asked")
"""A model need not keep everybody's state at all tokens: it fetches it here."""
VALIDATION = 4


@dataclass(frozen=True, kw_only=True)
class Task:
    """A variable at one kind of token, with the cells to learn from and to be tested on.

    Attributes:
        variable: of the world.
        where: kind of token, of `READ_AT`.
        classes: the values.
        train: cells of training stories.
        validation: cells of other training stories, which choose the layer.
        test: cells of held-out stories; none has the same words before it as one of the others.
    """

    variable: str
    where: str
    classes: tuple[str, ...]
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]

    @property
    def name(self) -> str:
        """As `place (named)`."""
        return f"{self.variable} ({self.where})"

    @property
    def cells(self) -> tuple[Example, ...]:
        """All of them, in this order."""
        return self.train + self.validation + self.test

    def labels(self, cells: Sequence[Example]) -> Int[Tensor, " cell"]:
        """The true values' numbers."""
        return torch.tensor([self.classes.index(cell.label) for cell in cells])

    @property
    def commonest(self) -> int:
        """The value that most training cells have."""
        return int(self.labels(self.train).mode().values)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One model on the held-out stories: sums over the tokens of each story.

    Attributes:
        nats: what its tokens cost.
        regret: the same less the floor; nan without one.
        right: by task, cells read right.
        shuffled: the same with labels shuffled in training.
        sites: by task, the site that the validation cells chose.
    """

    nats: Float[Tensor, " story"]
    regret: Float[Tensor, " story"]
    right: dict[str, Float[Tensor, " story"]]
    shuffled: dict[str, Float[Tensor, " story"]]
    sites: dict[str, str]


def find_tasks(
    model: LanguageModel,
    world: World,
    variables: Sequence[str],
    training: Sequence[Story],
    testing: Sequence[Story],
    most: int,
) -> list[Task]:
    """A task for each variable and kind of token that has enough cells of two values or more.

    Args:
        model: whose tokenizer splits the stories.
        world: that told them.
        variables: that hold on.
        training: stories to learn from; every fourth chooses the layer.
        testing: held-out stories.
        most: training cells of a task.
    Raises:
        NotEnoughDataError: none has enough.
    """
    made = []
    for variable in variables:
        known = _cells(model, world, variable, training, len(testing))
        asked = _cells(model, world, variable, testing, 0)
        for where in READ_AT:
            task = _task(variable, where, tuple(world.variables[variable]), known, asked, most)
            enough = len(task.train) >= FEWEST_ROWS and task.validation and task.test
            if enough and len({cell.label for cell in task.train}) > 1:
                made.append(task)
    if not made:
        raise NotEnoughDataError(
            f"Fidelity needs {FEWEST_ROWS} tokens or more at which two values of a variable are "
            f"true; {len(training)} stories have too few. Ask for more stories."
        )
    return made


def _cells(
    model: LanguageModel, world: World, variable: str, stories: Sequence[Story], first: int
) -> list[Example]:
    classes, found = tuple(world.variables[variable]), []
    for number, story in enumerate(stories, first):
        spans = [sentence.span for sentence in world.parse(story.text).sentences]
        held = track(model.tokenizer, story.text, story.facts, spans, variable, classes)
        found += [cell for cell in held.cells(number, classes) if cell.kind in READ_AT]
    return [cell for cell in found if len(cell.tokens) <= model.cfg.n_ctx]


def _task(
    variable: str,
    where: str,
    classes: tuple[str, ...],
    known: Sequence[Example],
    asked: Sequence[Example],
    most: int,
) -> Task:
    mine = [cell for cell in known if cell.kind == where]
    chosen = [cell for cell in mine if cell.story % VALIDATION == 0]
    train = [cell for cell in mine if cell.story % VALIDATION]
    # Equal words before a token give equal activations: such a cell would test memory.
    before = {cell.tokens for cell in mine}
    test = [cell for cell in asked if cell.kind == where and cell.tokens not in before]
    return Task(
        variable=variable,
        where=where,
        classes=classes,
        train=tuple(train[:most]),
        validation=tuple(chosen[:most]),
        test=tuple(test),
    )


def look_at(
    model: LanguageModel, tasks: Sequence[Task], stories: Sequence[Story], l2: float, seed: int
) -> Seen:
    """Fit every task on one model, and count on the held-out stories.

    Args:
        model: any model that splits text as the tasks' own does.
        tasks: of `find_tasks`.
        stories: those that the tasks are tested on.
        l2: penalty of the probes.
        seed: of the shuffles.
    """
    sites = residual_sites(model)
    with progress_range(0.0, 0.6):
        rows = rows_at(model, [cell for task in tasks for cell in task.cells], sites)
    right, shuffled, chosen, start = {}, {}, {}, 0
    for number, task in enumerate(tasks):
        report_progress(f"fitting, {task.name}", 0.6 + 0.4 * number / len(tasks), 1)
        mine = rows[:, start : start + len(task.cells)]
        start += len(task.cells)
        best, flags = _best(task, mine, l2, seed)
        chosen[task.name] = site_label(sites[best], model.cfg.n_layers)
        right[task.name], shuffled[task.name] = (by_story(task, f, len(stories)) for f in flags)
    nats, regret = _costs(model, stories)
    return Seen(nats=nats, regret=regret, right=right, shuffled=shuffled, sites=chosen)


def _best(
    task: Task, rows: Float[Tensor, "site cell d_model"], l2: float, seed: int
) -> tuple[int, Tensor]:
    """The site with the best validation accuracy, and what is right there: truth, shuffled."""
    sizes = [len(task.train), len(task.validation), len(task.test)]
    truth = task.labels(task.train)
    order = torch.randperm(len(truth), generator=torch.Generator().manual_seed(seed))
    targets = torch.stack([truth, truth[order]])
    found = []
    for number, of_site in enumerate(rows):
        x, check, test = of_site.split(sizes)
        fitted = fit_linear(x, targets, len(task.classes), l2=l2, max_steps=STEPS)
        well = (fitted.predict(check)[0] == task.labels(task.validation)).double().mean()
        found.append((float(well), -number, fitted.predict(test) == task.labels(task.test)))
    best = max(found, key=lambda each: each[:2])
    return -best[1], best[2].double()


def by_story(task: Task, values: Float[Tensor, " cell"], n: int) -> Float[Tensor, " story"]:
    """Sums over the test cells of each story."""
    owners = torch.tensor([cell.story for cell in task.test])
    return torch.zeros(n, dtype=torch.float64).index_add_(0, owners, values.double())


def _costs(
    model: LanguageModel, stories: Sequence[Story]
) -> tuple[Float[Tensor, " story"], Float[Tensor, " story"]]:
    predictions = predict_stories(model, stories)
    nats = torch.stack([prediction.nats.double().sum() for prediction in predictions])
    if not has_floor(stories):
        return nats, torch.full_like(nats, float("nan"))
    return nats, regrets(stories, predictions)[0].double()
